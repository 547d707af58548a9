/** Secrets are planted wherever there are some, and looked for wherever something is shown. */
import { beforeAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startEcho } from "./apps.ts";
import { Bowline, bowline, endEverythingAfterwards, everythingSaid, scenario } from "./bowline.ts";
import { curl, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { PlatformIssuer } from "./platform_issuer.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.48");
const DOOR = mesh.address(9);
const [CLIENT, STORE] = [10, 11];
/** In headers of calls through the mesh: half of them fail. */
const HEADERS = { authorization: "Bearer canary-9f2c.payload.signature", cookie: "session=canary-71d0" };
/** Each piece is by itself what nobody may see. */
const secrets: string[] = ["canary-9f2c", "canary-71d0"];
const processes: Bowline[] = [];
let issuer: PlatformIssuer;

endEverythingAfterwards();

beforeAll(async () => {
  issuer = await PlatformIssuer.start(mesh.address(50));
  mesh.write(
    "mesh.yaml",
    service("store"),
    service("missing"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
  );
  mesh.file("keys.json", JSON.stringify({ keys: [issuer.publicJwk] }));
  const rules = `issuers:\n- issuer: ${issuer.issuer}\n  audiences: [bowline]\n  jwksFile: keys.json\n` +
    `  rules:\n  - workload: "shop/{claims[kubernetes.io][pod][name]}"\n`;
  await startEcho("store", mesh.address(STORE));
  processes.push(await mesh.startControlPlane("--enrolment", mesh.file("enrolment.yaml", rules)));
  const rootCert = mesh.file("roots.pem", await (await fetch(`http://${DOOR}:15014/roots.pem`)).text());
  const platformToken = await issuer.token("client");
  const client = new Bowline("sidecar of the client", [
    ...["run", "--role", "sidecar", "--bind", mesh.address(CLIENT), "--data", mesh.dataOf("shop/client")],
    ...["--platform-token-file", mesh.file("platform.jwt", platformToken), "--root-cert", rootCert],
    ...["--control-plane", `${DOOR}:15012`],
  ]);
  processes.push(client, await mesh.startSidecar("shop/store", { at: STORE, workers: 2 }));
  await mesh.untilReady(client, CLIENT);
  await mesh.untilSynced(2);
  secrets.push(...pieces(platformToken), ...mesh.tokens.flatMap(pieces));
});

function pieces(token: string): string[] {
  return token.split(".").slice(1);
}

/** The lines of private keys in a file that hold the number itself; what follows in PKCS#8 is the public key. */
function keyLines(pem: string): string[] {
  const keys = pem.matchAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n([^-]+)-----END/g);
  return [...keys].flatMap(([, body = ""]) => body.split("\n").slice(0, 2));
}

scenario(
  "no secret is shown: in logs, metrics, admin output, error pages, command lines or environments",
  async () => {
    const headers = Object.entries(HEADERS).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const pages: string[] = [];
    for (const host of ["store:8080", "missing:8080", "store:8081", "nowhere.invalid"]) {
      const { status, headers: seen, body } = await viaSidecar(
        mesh.address(CLIENT),
        host,
        "/?page",
        ...headers,
      );
      // The workload itself says back what it was sent.
      if (status !== 200) pages.push(JSON.stringify(seen) + body);
    }
    expect(pages).toHaveLength(3);
    const malformed = await curl(
      "-X",
      "POST",
      ...headers,
      "-H",
      "Content-Length: x",
      `http://${mesh.address(CLIENT)}:15001/`,
    );
    pages.push(malformed.body);
    // A token that is refused, and one in a place where none belongs.
    const stray = mesh.tokens[0] as string;
    const refused = await bowline([
      "run",
      "--role",
      "sidecar",
      "--data",
      mesh.dataOf("none"),
      "--token-file",
      mesh.file("stray.jwt", `${stray.slice(0, -4)}AAAA`),
      "--bind",
      mesh.address(12),
    ], { env: { BOWLINE_DEBUG: "1" } });
    expect(refused.code).toBe(65);
    const strayAnswer = await fetch(`http://${DOOR}:15014/api/${stray}`);
    pages.push(await strayAnswer.text());

    for (const name of ["shop/client", "shop/store"]) secrets.push(...keyLines(mesh.identityOf(name).key));
    secrets.push(...keyLines(readFileSync(join(mesh.controlPlaneData, "ca/authority.pem"), "utf8")));
    const tokenSecret = readFileSync(join(mesh.controlPlaneData, "ca/token.secret"));
    for (const form of ["hex", "base64", "base64url"] as const) secrets.push(tokenSecret.toString(form));
    expect(secrets).toHaveLength(15);

    const shown = [...pages];
    for (const path of ["/metrics", "/api/graph", "/api/proxies", "/api/config", "/roots.pem", "/crl"]) {
      shown.push(await (await fetch(`http://${DOOR}:15014${path}`)).text());
    }
    for (const at of [CLIENT, STORE]) {
      shown.push(
        await (await fetch(`http://${mesh.address(at)}:15090/stats/prometheus`)).text(),
      );
    }
    for (const name of ["shop/client", "shop/store"]) {
      const socket = join(mesh.dataOf(name), "admin.sock");
      shown.push((await curl("--unix-socket", socket, "http://x/config_dump")).body);
    }
    for (const path of ["/v1/tokens", "/v1/certificates"]) {
      shown.push(
        (await curl("--unix-socket", join(mesh.controlPlaneData, "admin.sock"), `http://x${path}`)).body,
      );
    }
    shown.push(readFileSync(join(mesh.controlPlaneData, "ca/audit.jsonl"), "utf8"));
    shown.push(readFileSync(join(mesh.controlPlaneData, "ca/issued.jsonl"), "utf8"));
    const children = processes.flatMap(({ pid }) =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")
    );
    const pids = [...processes.map(({ pid }) => String(pid)), ...children.filter((pid) => pid !== "")];
    expect(pids.length).toBeGreaterThan(processes.length);
    for (const pid of pids) {
      for (const file of ["cmdline", "environ"]) shown.push(readFileSync(`/proc/${pid}/${file}`, "utf8"));
    }
    // `token create` prints its token: that is what it is for.
    shown.push(everythingSaid().split("\n").filter((line) => !mesh.tokens.includes(line)).join("\n"));
    const text = shown.join("\n");
    for (
      const looked of [
        "Joined the mesh",
        '"outcome":"issued"',
        "istio_requests_total",
        "--platform-token-file",
      ]
    ) {
      expect(text).toContain(looked);
    }
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  },
);
