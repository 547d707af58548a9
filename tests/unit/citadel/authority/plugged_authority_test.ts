import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import {
  CertificateAuthority,
  LEAF_LIFE_DEFAULT_MS,
} from "../../../../src/citadel/authority/certificate_authority.ts";
import { PATH_LENGTH_MAX } from "../../../../src/citadel/authority/certificate_path.ts";
import { openPluggedAuthority } from "../../../../src/citadel/authority/plugged_authority.ts";
import { AUTHORITY_CERTIFICATES_MAX } from "../../../../src/citadel/authority/plugged_files.ts";
import { certificatePin } from "../../../../src/identity/trust_bundle.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { privateFiles } from "../../../../src/runtime/private_files.ts";
import { x509 } from "../../identity/odd_certificates.ts";
import { openssl } from "../../identity/openssl.ts";
import { type Authority, istioFiles, makeAuthority, writeFiles } from "./plugged_files.ts";
import { CART, freshDirectory, removeDirectories, START_MS, TRUST_DOMAIN } from "../test_citadel.ts";

afterAll(removeDirectories);

const clock = new ManualClock(START_MS);
const leafKeys = await makeAuthority();
const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", leafKeys.keys.publicKey));
const root = await makeAuthority();
const intermediate = await makeAuthority({ issuer: root, pathLength: 0 });
const good = istioFiles(intermediate, intermediate.pem + root.pem, root.pem);

function open(directory: string) {
  return openPluggedAuthority({ directory, trustDomain: TRUST_DOMAIN, clock, files: privateFiles });
}

async function signWith(directory: string) {
  const authority = await CertificateAuthority.create(await open(directory), clock);
  const leaf = await authority.sign({ publicKey, spiffeId: CART.spiffeId, ttlMs: LEAF_LIFE_DEFAULT_MS });
  return { authority, leaf };
}

/** What openssl says of the leaf, with nothing but the roots and the chain that goes out with it. */
function verify(chain: string, roots: string): string {
  const args = ["verify", "-attime", String(START_MS / 1000), "-CAfile", "roots.pem"];
  return openssl([...args, "-untrusted", "chain.pem", "chain.pem"], {
    "roots.pem": roots,
    "chain.pem": chain,
  });
}

async function keysOf(algorithm: RsaHashedKeyGenParams | EcKeyGenParams): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
}

function rsa(modulusLength: number): RsaHashedKeyGenParams {
  const publicExponent = Uint8Array.of(1, 0, 1);
  return { name: "RSASSA-PKCS1-v1_5", modulusLength, publicExponent, hash: "SHA-256" };
}

describe("openPluggedAuthority()", () => {
  test("openPluggedAuthority() signs with an intermediate, and leaves carry it", async () => {
    const { authority, leaf } = await signWith(writeFiles(good));
    expect(leaf.chain).toEndWith(intermediate.pem);
    expect(leaf.chain).not.toContain(root.pem);
    expect(authority.pin).toBe(await certificatePin(new Uint8Array(root.certificate.rawData)));
    expect(verify(leaf.chain, authority.roots)).toContain("OK");
  });

  test("openPluggedAuthority() takes the chain in any order, with or without its ends", async () => {
    const upper = await makeAuthority({ issuer: root, name: "CN=upper", pathLength: 1 });
    const lower = await makeAuthority({ issuer: upper, name: "CN=lower", pathLength: 0 });
    const chains = [
      upper.pem,
      lower.pem + upper.pem,
      root.pem + upper.pem + lower.pem,
      intermediate.pem + upper.pem,
    ];
    for (const chain of chains) {
      const { authority, leaf } = await signWith(writeFiles(istioFiles(lower, chain, root.pem)));
      expect(leaf.chain).toEndWith(lower.pem + upper.pem);
      expect(verify(leaf.chain, authority.roots)).toContain("OK");
    }
  });

  test("openPluggedAuthority() takes a root that signs itself, without a chain", async () => {
    const { "cert-chain.pem": _, ...files } = istioFiles(root, "", root.pem);
    const { authority, leaf } = await signWith(writeFiles(files));
    expect(leaf.chain.match(/BEGIN/g)).toHaveLength(1);
    expect(verify(leaf.chain, authority.roots)).toContain("OK");
  });

  test("openPluggedAuthority() takes the names of a TLS secret", async () => {
    const files = { "tls.crt": intermediate.pem, "tls.key": intermediate.key, "ca.crt": root.pem };
    const { authority, leaf } = await signWith(writeFiles(files));
    expect(verify(leaf.chain, authority.roots)).toContain("OK");
  });

  test("openPluggedAuthority() trusts every root, and pins the one that its chain leads to", async () => {
    const other = await makeAuthority({ name: "CN=other" });
    const { authority } = await signWith(writeFiles({ ...good, "root-cert.pem": other.pem + root.pem }));
    expect(authority.roots).toBe(other.pem + root.pem);
    expect(authority.pin).toBe(await certificatePin(new Uint8Array(root.certificate.rawData)));
  });

  test("openPluggedAuthority() takes keys of each kind, as WebCrypto and as openssl write them", async () => {
    const kinds = [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", namedCurve: "P-384" }, rsa(2048)];
    for (const kind of kinds) {
      const ca = await makeAuthority({ keys: await keysOf(kind) });
      // The forms of openssl before version 3.
      const old = openssl(
        [kind.name === "ECDSA" ? "ec" : "rsa", "-in", "key.pem"].concat(
          kind.name === "ECDSA" ? [] : ["-traditional"],
        ),
        { "key.pem": ca.key },
      );
      expect(old).toContain(kind.name === "ECDSA" ? "EC PRIVATE KEY" : "RSA PRIVATE KEY");
      for (const key of [ca.key, old]) {
        const files = { ...istioFiles(ca, ca.pem, ca.pem), "ca-key.pem": key };
        const { authority, leaf } = await signWith(writeFiles(files));
        expect(verify(leaf.chain, authority.roots)).toContain("OK");
      }
    }
  });

  test("openPluggedAuthority() ends leaves with the first of its certificates to end", async () => {
    const brief = await makeAuthority({ issuer: root, notAfterMs: START_MS + 600_000 });
    const { authority, leaf } = await signWith(writeFiles(istioFiles(brief, brief.pem, root.pem)));
    expect(authority.notAfterMs).toBe(START_MS + 600_000);
    expect(leaf.notAfterMs).toBe(START_MS + 600_000);
  });

  test("openPluggedAuthority() writes nothing", async () => {
    const directory = writeFiles(good);
    await open(directory);
    for (const [name, text] of Object.entries(good)) {
      expect(readFileSync(join(directory, name), "utf8")).toBe(text);
    }
  });
});

const HOUR_MS = 3_600_000;
const other = await makeAuthority({ name: "CN=other" });

async function chainOf(odd: Parameters<typeof makeAuthority>[0]): Promise<Record<string, string>> {
  const ca = await makeAuthority({ issuer: root, ...odd });
  return istioFiles(ca, ca.pem + root.pem, root.pem);
}

async function below(top: Authority): Promise<Record<string, string>> {
  const ca = await makeAuthority({ issuer: top });
  return istioFiles(ca, ca.pem, top.pem);
}

async function longChain(length: number): Promise<Record<string, string>> {
  const path = [root];
  while (path.length < length) {
    path.unshift(await makeAuthority({ issuer: path[0] as Authority, name: `CN=ca${path.length}` }));
  }
  const chain = path.map(({ pem }) => pem).join("");
  return istioFiles(path[0] as Authority, chain, root.pem);
}

const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([each]) => each !== name));

/** Each with the file that is named, and the reason. */
const bad: [string, () => Promise<Record<string, string>> | Record<string, string>, string, RegExp][] = [
  ["an empty directory", () => ({}), "", /neither ca-cert\.pem .* nor tls\.crt/],
  [
    "two sets of names",
    () => ({ ...good, "tls.crt": intermediate.pem }),
    "",
    /both ca-cert\.pem and tls\.crt/,
  ],
  ["no key", () => without("ca-key.pem"), "ca-key.pem", /not there/],
  ["no roots", () => without("root-cert.pem"), "root-cert.pem", /: it is not there$/],
  ["no certificate of the CA", () => without("ca-cert.pem"), "ca-cert.pem", /: it is not there$/],
  [
    "no chain where one is needed",
    async () => {
      const { "cert-chain.pem": _, ...files } = await below(
        await makeAuthority({ issuer: root, name: "CN=top" }),
      );
      return { ...files, "root-cert.pem": root.pem };
    },
    "cert-chain.pem",
    /"CN=top" has issued "CN=intermediate", and its certificate is not there \(there is no cert-chain\.pem\)/,
  ],
  [
    "a key of another CA",
    () => ({ ...good, "ca-key.pem": other.key }),
    "ca-key.pem",
    /not belong to the certificate in .*ca-cert\.pem/,
  ],
  [
    "a key of another kind",
    async () => ({ ...good, "ca-key.pem": (await makeAuthority({ keys: await keysOf(rsa(2048)) })).key }),
    "ca-key.pem",
    /not belong/,
  ],
  ["an empty key", () => ({ ...good, "ca-key.pem": "" }), "ca-key.pem", /no private key/],
  ["two keys", () => ({ ...good, "ca-key.pem": other.key + other.key }), "ca-key.pem", /exactly one/],
  [
    "a certificate for a key",
    () => ({ ...good, "ca-key.pem": root.pem }),
    "ca-key.pem",
    /holds a CERTIFICATE/,
  ],
  [
    "an encrypted key",
    () => ({ ...good, "ca-key.pem": root.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY") }),
    "ca-key.pem",
    /encrypted/,
  ],
  [
    "an encrypted key in openssl's older form",
    () => ({
      ...good,
      "ca-key.pem":
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n" +
        "-----END EC PRIVATE KEY-----\n",
    }),
    "ca-key.pem",
    /encrypted/,
  ],
  ["a key in DER", () => ({ ...good, "ca-key.pem": "0\x82\x01" }), "ca-key.pem", /in DER.*openssl pkey/],
  [
    "roots in DER",
    () => ({ ...good, "root-cert.pem": "0\x82\x01" }),
    "root-cert.pem",
    /in DER.*openssl x509/,
  ],
  [
    "a damaged key",
    () => ({ ...good, "ca-key.pem": root.key.replace(/\n[^\n]{64}\n/, "\n") }),
    "ca-key.pem",
    /DER|damaged/,
  ],
  [
    "a key on another curve",
    async () => ({
      ...good,
      "ca-key.pem": (await makeAuthority({ keys: await keysOf({ name: "ECDSA", namedCurve: "P-521" }) })).key,
    }),
    "ca-key.pem",
    /none of P-256, P-384 and RSA/,
  ],
  [
    "a weak key",
    async () => await chainOf({ keys: await keysOf(rsa(1024)) }),
    "ca-key.pem",
    /RSA key has 1024 bits/,
  ],
  [
    "a weak root",
    async () => await below(await makeAuthority({ keys: await keysOf(rsa(1024)) })),
    "root-cert.pem",
    /RSA key of 1024 bits/,
  ],
  [
    "a weak root that nothing leads to",
    async () => ({
      ...good,
      "root-cert.pem": root.pem +
        (await makeAuthority({ name: "CN=old", keys: await keysOf(rsa(1024)) })).pem,
    }),
    "root-cert.pem",
    /"CN=old" has an RSA key of 1024 bits/,
  ],
  [
    "a leaf among the roots",
    async () => ({ ...good, "root-cert.pem": root.pem + (await makeAuthority({ isCa: false })).pem }),
    "root-cert.pem",
    /not a CA's/,
  ],
  [
    "a key among the certificates",
    () => ({ ...good, "root-cert.pem": root.pem + root.key }),
    "root-cert.pem",
    /besides certificates it holds PRIVATE KEY, which must not be there/,
  ],
  ["no certificate", () => ({ ...good, "ca-cert.pem": "" }), "ca-cert.pem", /no certificate/],
  ["a damaged one", () => ({ ...good, "ca-cert.pem": root.pem.slice(0, 300) }), "ca-cert.pem", /END/],
  [
    "too many roots",
    () => ({ ...good, "root-cert.pem": root.pem.repeat(AUTHORITY_CERTIFICATES_MAX + 1) }),
    "root-cert.pem",
    /more than 16/,
  ],
  ["a leaf", () => chainOf({ isCa: false }), "ca-cert.pem", /not a CA's/],
  [
    "one that may not sign",
    () => chainOf({ usage: x509.KeyUsageFlags.cRLSign }),
    "ca-cert.pem",
    /may not sign/,
  ],
  ["an expired CA", () => chainOf({ notAfterMs: START_MS }), "ca-cert.pem", /expired at 2027-01-15T08:00:00/],
  ["one of tomorrow", () => chainOf({ notBeforeMs: START_MS + HOUR_MS }), "ca-cert.pem", /valid from/],
  [
    "an expired root",
    async () => await below(await makeAuthority({ notAfterMs: START_MS })),
    "root-cert.pem",
    /expired/,
  ],
  [
    "a root that allows no intermediate",
    async () => await below(await makeAuthority({ pathLength: 0 })),
    "root-cert.pem",
    /pathlen/,
  ],
  [
    "another root",
    () => ({ ...good, "root-cert.pem": other.pem }),
    "cert-chain.pem",
    /does not lead to a root/,
  ],
  [
    "a gap in the chain",
    async () => {
      const lower = await makeAuthority({ issuer: await makeAuthority({ issuer: root, name: "CN=gone" }) });
      return istioFiles(lower, lower.pem, root.pem);
    },
    "cert-chain.pem",
    /"CN=gone" has issued "CN=intermediate", and its certificate is not there/,
  ],
  [
    "a root of the same name that did not sign",
    async () => ({
      ...good,
      "root-cert.pem": (await makeAuthority()).pem,
      "cert-chain.pem": intermediate.pem,
    }),
    "cert-chain.pem",
    /the certificate of that name that is there has another key/,
  ],
  ["a long chain", () => longChain(PATH_LENGTH_MAX + 1), "cert-chain.pem", /more than 8/],
  [
    "one of another trust domain",
    () => chainOf({ uri: "spiffe://prod.example" }),
    "ca-cert.pem",
    /made for trust domain "spiffe:\/\/prod\.example"/,
  ],
];

describe("openPluggedAuthority() refuses", () => {
  for (const [what, files, file, reason] of bad) {
    test(`openPluggedAuthority() refuses ${what}, and names the file and the reason`, async () => {
      const directory = writeFiles(await files());
      const path = file === "" ? directory : join(directory, file);
      const error = await open(directory).then(() => undefined, (thrown) => thrown);
      expect(error).toMatchObject({ code: "ca_unusable" });
      expect(error.message).toStartWith(`The certificate authority in ${path} cannot be used: `);
      expect(error.message).toMatch(reason);
      expect(error.message).not.toContain("PRIVATE KEY-----");
    });
  }

  test("openPluggedAuthority() refuses a key that others can read, and takes a chain at the limit", async () => {
    for (const mode of [0o644, 0o640, 0o604]) {
      await expect(open(writeFiles(good, mode))).rejects.toMatchObject({
        code: "ca_unusable",
        message: expect.stringMatching(/ca-key\.pem has mode 06\d\d.*chmod 600/),
      });
    }
    expect((await open(writeFiles(await longChain(PATH_LENGTH_MAX)))).path).toHaveLength(PATH_LENGTH_MAX);
  });

  test("openPluggedAuthority() refuses a directory that is not there, or is none", async () => {
    const none = join(freshDirectory(), "none");
    const message = (path: string, why: string) =>
      `The certificate authority in ${path} cannot be used: ${why}`;
    await expect(open(none)).rejects.toMatchObject({ message: message(none, "it is not there") });
    const file = join(writeFiles(good), "ca-cert.pem");
    await expect(open(file)).rejects.toMatchObject({
      message: message(
        file,
        "it is not a directory",
      ),
    });
  });
});
