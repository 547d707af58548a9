/** CAs that the operator's own tools made, with a mistake in each: none starts, and the last line says where and why. */
import { beforeAll, describe, expect } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { endEverythingAfterwards, scenario } from "./bowline.ts";
import { Mesh } from "./mesh.ts";
import { service } from "./resources.ts";
import { timeLibrary } from "./shifted_clock.ts";

const mesh = new Mesh("127.0.84");
const work = join(mesh.directory, "authorities");
const directory = join(mesh.directory, "ca");

endEverythingAfterwards();

function run(...command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { cwd: work, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

const openssl = (...args: readonly string[]) => run("openssl", ...args);
const CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const IN_2020 = ["env", `LD_PRELOAD=${timeLibrary()}`, "FAKETIME=2020-01-01 00:00:00"];
const EC = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];

/** Makes NAME.crt and NAME.key; `issuer` is the name of another one. */
function authority(
  name: string,
  { issuer = name, extensions = CA, key = EC, sign = [], at = [] }: {
    readonly issuer?: string;
    readonly extensions?: string;
    readonly key?: readonly string[];
    readonly sign?: readonly string[];
    /** A command that turns the clock back. */
    readonly at?: readonly string[];
  } = {},
): void {
  openssl(...key, "-out", `${name}.key`);
  openssl("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`);
  writeFileSync(join(work, `${name}.ext`), extensions);
  const by = issuer === name
    ? ["-signkey", `${name}.key`]
    : ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
  run(
    ...[...at, "openssl", "x509", "-req", "-in", `${name}.csr`, "-out", `${name}.crt`],
    ...[...by, "-days", "30", "-extfile", `${name}.ext`, ...sign],
  );
}

const read = (file: string) => readFileSync(join(work, file), "utf8");
const at = (name: string) => join(directory, name);

function write(name: string, content: string | Uint8Array): void {
  writeFileSync(at(name), content);
  chmodSync(at(name), 0o600);
}

/** The files of a CA, of which its issuer is the chain. */
function plug(
  name: string,
  { root = "root", chain = "intermediate.crt" }: { root?: string; chain?: string } = {},
) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  write("ca-cert.pem", read(`${name}.crt`));
  write("ca-key.pem", read(`${name}.key`));
  write("root-cert.pem", read(`${root}.crt`));
  write("cert-chain.pem", read(chain));
}

/** What a start ends with. */
async function refusal(): Promise<string> {
  const process = mesh.launchControlPlane("--ca", directory);
  expect(await process.endsByItself()).toBe(65);
  expect(process.stderr).not.toContain("PRIVATE KEY-----");
  return process.stderr.trimEnd().split("\n").at(-1) ?? "";
}

beforeAll(() => {
  mkdirSync(work);
  mesh.write("mesh.yaml", service("web"));
  authority("root");
  authority("other");
  authority("intermediate", { issuer: "root" });
  authority("signing", { issuer: "intermediate" });
});

const FILES = ["ca-cert.pem", "ca-key.pem", "root-cert.pem"];

/** Each changes the files of a good CA, and names the file that is at fault, and why. */
const MISTAKES: readonly (readonly [what: string, change: () => void, file: string, why: string])[] = [
  ...FILES.map((name) => [`no ${name}`, () => rmSync(at(name)), name, "it is not there"] as const),
  [
    "no cert-chain.pem",
    () => rmSync(at("cert-chain.pem")),
    "cert-chain.pem",
    'its chain does not lead to a root: "CN=intermediate" has issued "CN=signing", and its certificate is not there ' +
    "(there is no cert-chain.pem)",
  ],
  ["no directory", () => rmSync(directory, { recursive: true }), "", "it is not there"],
  [
    "an empty directory",
    () => [...FILES, "cert-chain.pem"].forEach((name) => rmSync(at(name))),
    "",
    "it holds neither ca-cert.pem (with ca-key.pem, root-cert.pem, cert-chain.pem) nor tls.crt (with tls.key, ca.crt)",
  ],
  ["an empty certificate", () => write("ca-cert.pem", ""), "ca-cert.pem", "it holds no certificate"],
  ["an empty key", () => write("ca-key.pem", ""), "ca-key.pem", "it holds no private key"],
  [
    "half a certificate",
    () => write("root-cert.pem", read("root.crt").slice(0, 200)),
    "root-cert.pem",
    "The PEM holds the beginning of CERTIFICATE without its END line",
  ],
  [
    "garbage",
    () => write("cert-chain.pem", new Uint8Array(500).fill(7)),
    "cert-chain.pem",
    "it holds no certificate",
  ],
  [
    "a key of another CA",
    () => write("ca-key.pem", read("other.key")),
    "ca-key.pem",
    "it does not belong to the certificate in DIR/ca-cert.pem",
  ],
  [
    "a key in DER",
    () => {
      openssl("ec", "-in", "signing.key", "-outform", "DER", "-out", "signing.der");
      write("ca-key.pem", readFileSync(join(work, "signing.der")));
    },
    "ca-key.pem",
    "it is in DER, and must be PEM: openssl pkey -inform DER -in KEY -out NEW",
  ],
  ...[["ec", "-aes128"], ["pkcs8", "-topk8"]].map((how) =>
    [
      `an encrypted key (${how.join(" ")})`,
      () => {
        openssl(...how, "-in", "signing.key", "-passout", "pass:secret", "-out", "locked.key");
        write("ca-key.pem", read("locked.key"));
      },
      "ca-key.pem",
      "its private key is encrypted, and there is nobody to type the password; openssl pkey -in KEY -out NEW " +
      "decrypts it",
    ] as const
  ),
  [
    "an RSA key of 1024 bits",
    () => {
      authority("weak", {
        issuer: "intermediate",
        key: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
      });
      plug("weak");
    },
    "ca-key.pem",
    "its RSA key has 1024 bits, and a CA's must have 2048 to 8192",
  ],
  [
    "a signature with SHA-1",
    () => {
      authority("sha1", { issuer: "intermediate", sign: ["-sha1"] });
      plug("sha1");
    },
    "ca-cert.pem",
    '"CN=sha1" is signed with SHA-1',
  ],
  [
    "a leaf",
    () => {
      authority("leaf", { issuer: "intermediate", extensions: "basicConstraints=CA:FALSE\n" });
      plug("leaf");
    },
    "ca-cert.pem",
    '"CN=leaf" is not a CA\'s certificate',
  ],
  [
    "a pathlen that leaves no room",
    () => {
      authority("short", { issuer: "root", extensions: CA.replace("TRUE", "TRUE,pathlen:0") });
      authority("below", { issuer: "short" });
      plug("below", { chain: "short.crt" });
    },
    "cert-chain.pem",
    '"CN=short" allows 0 CAs between it and a leaf (pathlen), and there would be 1',
  ],
  [
    "one that expired",
    () => {
      authority("past", { issuer: "intermediate", at: IN_2020 });
      plug("past");
    },
    "ca-cert.pem",
    '"CN=past" expired at 2020-01-31T00:00:00.000Z',
  ],
  [
    "a root that did not sign it",
    () => write("root-cert.pem", read("other.crt")),
    "cert-chain.pem",
    'its chain does not lead to a root: "CN=root" has issued "CN=intermediate", and its certificate is not there',
  ],
];

describe("run --ca refuses", () => {
  for (const [what, change, file, why] of MISTAKES) {
    scenario(`run --ca refuses ${what}, and says where and why`, async () => {
      plug("signing");
      change();
      const place = file === "" ? directory : at(file);
      expect(await refusal()).toBe(
        `Error: The certificate authority in ${place} cannot be used: ${why.replace("DIR", directory)}`,
      );
    });
  }

  scenario("run --ca refuses a key that others can read, behind links too", async () => {
    plug("signing");
    chmodSync(at("ca-key.pem"), 0o644);
    expect(await refusal()).toBe(
      `Error: The file ${at("ca-key.pem")} has mode 0644, so others than its owner can get at it; ` +
        `run: chmod 600 ${at("ca-key.pem")}`,
    );
    asMounted();
    expect(await refusal()).toContain(`${at("ca-key.pem")} has mode 0644`);
  });
});

/** The files as Kubernetes mounts a secret: links into a directory, which is a link, too. */
function asMounted(): void {
  const names = [...FILES, "cert-chain.pem"];
  const secret = join(work, "secret");
  rmSync(secret, { recursive: true, force: true });
  cpSync(directory, secret, { recursive: true });
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  renameSync(secret, at("..2026_11_29"));
  symlinkSync("..2026_11_29", at("..data"));
  for (const name of names) symlinkSync(join("..data", name), at(name));
}

scenario(
  "run --ca takes links, as Kubernetes mounts them, and a chain in any order with what nobody needs",
  async () => {
    plug("signing");
    write("cert-chain.pem", read("root.crt") + read("other.crt") + read("intermediate.crt"));
    asMounted();
    const controlPlane = await mesh.startControlPlane("--ca", directory);
    expect(await controlPlane.end()).toBe(0);
  },
);
