/** Workloads join with what their platform says of them, and nobody joins with what it does not say. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair as generateJoseKeys, SignJWT } from "jose";
import { createCsr } from "../../src/identity/csr.ts";
import { generateKeyPair } from "../../src/identity/key_pair.ts";
import type { CertificateReply } from "../../src/model/enrolment.ts";
import { Bowline, endEverythingAfterwards, everythingSaid, scenario } from "./bowline.ts";
import { askDoor, type DoorAnswer } from "./door_client.ts";
import { Mesh } from "./mesh.ts";
import { PlatformIssuer } from "./platform_issuer.ts";
import { service } from "./resources.ts";

const mesh = new Mesh("127.0.51");
const DOOR = mesh.address(9);
const NOT_VALID = {
  code: "token_invalid",
  message: "The platform's token is not valid here; the control plane's log says why",
};
const tokens: string[] = [];
let issuer: PlatformIssuer;
let enrolmentFile: string;

endEverythingAfterwards();

beforeAll(async () => {
  issuer = await PlatformIssuer.start(mesh.address(50));
  mesh.write(
    "mesh.yaml",
    service("web"),
    "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: { name: web, namespace: shop }\n" +
      "spec:\n  metadata: { labels: { app: web } }\n  template: { serviceAccount: web }\n",
  );
  enrolmentFile = mesh.file("enrolment.yaml", rules());
  await mesh.startControlPlane("--enrolment", enrolmentFile);
});

function rules(more = ""): string {
  return `issuers:
- issuer: ${issuer.issuer}
  audiences: [bowline]
  jwksUri: ${issuer.issuer}/keys
  rules:
  - when:
    - { claim: "claims[kubernetes.io][namespace]", exact: shop }
    - { claim: "claims[sub]", prefix: "system:serviceaccount:shop:" }
    workload: "{claims[kubernetes.io][namespace]}/{claims[kubernetes.io][pod][name]}"
  - when: [{ claim: "claims[kubernetes.io][namespace]", exact: fleet }]
    group: shop/web
${more}`;
}

async function newCsr(): Promise<string> {
  return await createCsr(await generateKeyPair());
}

async function enrol(platformToken: string, csr?: string): Promise<DoorAnswer> {
  tokens.push(platformToken);
  return await askDoor(DOOR, "/v1/enrol", { platformToken, csr: csr ?? await newCsr() });
}

function lastAudited(): Record<string, unknown> {
  const lines = readFileSync(join(mesh.controlPlaneData, "ca/audit.jsonl"), "utf8").trimEnd().split("\n");
  return JSON.parse(lines.at(-1) as string) as Record<string, unknown>;
}

describe("a sidecar with a token of its platform", () => {
  scenario(
    "joins as who the platform says it is, and restarts from its disk",
    async () => {
      const roots = await (await fetch(`http://${DOOR}:15014/roots.pem`)).text();
      const rootCert = mesh.file("roots.pem", roots);
      const token = await issuer.token("web-7d9");
      tokens.push(token);
      const start = () =>
        new Bowline("sidecar of a pod", [
          ...["run", "--role", "sidecar", "--bind", mesh.address(10), "--data", mesh.dataOf("pod")],
          ...["--platform-token-file", mesh.file("platform.jwt", token), "--root-cert", rootCert],
          ...["--control-plane", `${DOOR}:15012`],
        ]);
      const sidecar = start();
      await mesh.untilReady(sidecar, 10);
      await mesh.untilSynced(1);
      expect((await mesh.proxies()).map(({ workload }) => workload)).toEqual(["shop/web-7d9"]);
      await sidecar.says("spiffe://cluster.local/ns/shop/sa/web-7d9");
      expect(lastAudited()).toMatchObject({
        ...{ event: "enrol", outcome: "issued", workload: "shop/web-7d9" },
        by: `token of ${issuer.issuer} for "system:serviceaccount:shop:web"`,
        spiffeId: "spiffe://cluster.local/ns/shop/sa/web-7d9",
      });
      await sidecar.end();
      const again = start();
      await mesh.untilReady(again, 10);
      await again.end();
    },
  );

  scenario("goes on trying when it is refused, with the latest token", async () => {
    const roots = await (await fetch(`http://${DOOR}:15014/roots.pem`)).text();
    const file = mesh.file("old.jwt", await issuer.token("web-0", { aud: "vault" }));
    const sidecar = new Bowline("sidecar with an old token", [
      ...["run", "--role", "sidecar", "--bind", mesh.address(12), "--data", mesh.dataOf("old")],
      ...["--platform-token-file", file, "--root-cert", mesh.file("roots.pem", roots)],
      ...["--control-plane", `${DOOR}:15012`],
    ]);
    await sidecar.says(`"Cannot join yet; trying again","reason":"${NOT_VALID.message}"`);
    writeFileSync(file, await issuer.token("web-0"));
    await mesh.untilReady(sidecar, 12);
    await sidecar.end();
  });

  scenario("believes no control plane but the one whose root it was given", async () => {
    const other = new Mesh("127.0.52");
    other.write("mesh.yaml", service("web"));
    await other.startControlPlane();
    const roots = await (await fetch(`http://${other.address(9)}:15014/roots.pem`)).text();
    const sidecar = new Bowline("sidecar of another mesh", [
      ...["run", "--role", "sidecar", "--bind", mesh.address(11), "--data", mesh.dataOf("other")],
      ...["--platform-token-file", mesh.file("other.jwt", await issuer.token("web-1"))],
      ...["--root-cert", mesh.file("other.pem", roots), "--control-plane", `${DOOR}:15012`],
    ]);
    await sidecar.says("whoever answers there is not the control plane of this trust domain");
    await sidecar.end();
  });
});

describe("a token of a platform", () => {
  scenario("is good for the key that it was used with, and for no other", async () => {
    const token = await issuer.token("web-2");
    const csr = await newCsr();
    for (let i = 0; i < 2; i++) {
      const { status, body } = await enrol(token, csr);
      const { workload, spiffeId } = body as unknown as CertificateReply;
      expect([status, workload, spiffeId]).toEqual([
        200,
        "shop/web-2",
        "spiffe://cluster.local/ns/shop/sa/web-2",
      ]);
    }
    const stolen = await Promise.all(Array.from({ length: 20 }, () => enrol(token)));
    expect(stolen.map(({ status, body }) => [status, body?.error?.code])).toEqual(
      Array.from({ length: 20 }, () => [403, "token_used"]),
    );
  });

  scenario("makes a member of a group where the rule says so", async () => {
    const { status, body } = await enrol(
      await issuer.token("x", { "kubernetes.io": { namespace: "fleet" } }),
    );
    const { workload, group, spiffeId } = body as unknown as CertificateReply;
    expect([status, group, spiffeId]).toEqual([200, "shop/web", "spiffe://cluster.local/ns/shop/sa/web"]);
    expect(workload).toStartWith("shop/web-");
  });

  scenario("that is forged, old, for others or for nobody is refused in the same words", async () => {
    const token = await issuer.token("web-3");
    const [header, payload, signature] = token.split(".") as [string, string, string];
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const decode = (text: string) => JSON.parse(Buffer.from(text, "base64url").toString()) as object;
    const nowS = Math.floor(Date.now() / 1000);
    const asSecret = new TextEncoder().encode(JSON.stringify(issuer.publicJwk));
    const { privateKey } = await generateJoseKeys("RS256");
    const sign = (claims: object, alg: string, key: Uint8Array | CryptoKey) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg, kid: issuer.kid }).sign(key);
    const pod = (name: string) => ({ "kubernetes.io": { namespace: "shop", pod: { name } } });
    const refused: Readonly<Record<string, string>> = {
      "alg none": `${encode({ alg: "none" })}.${payload}.`,
      "HS256 with the public key": await sign(decode(payload), "HS256", asSecret),
      "another key under the same kid": await sign(decode(payload), "RS256", privateKey),
      "a key of its own": await issuer.token("web-3", {}, { jwk: issuer.publicJwk, kid: "own" }),
      "altered": `${header}.${encode({ ...decode(payload), ...pod("admin") })}.${signature}`,
      "cut off": token.slice(0, -10),
      "no token": "x",
      "another issuer": await issuer.token("web-3", { iss: "https://accounts.example.com" }),
      "another audience": await issuer.token("web-3", { aud: "vault" }),
      "not yet": await issuer.token("web-3", { nbf: nowS + 120 }),
      "issued in the future": await issuer.token("web-3", { iat: nowS + 120 }),
      "too long a life": await issuer.token("web-3", { lifeS: 3_601 }),
      "no expiry": await issuer.token("web-3", { exp: undefined }),
      "an unknown critical header": await issuer.token("web-3", {}, { crit: ["b64"], b64: false }).catch(() =>
        "x"
      ),
      "another namespace": await issuer.token("web-3", { "kubernetes.io": { namespace: "admin" } }),
      "another subject": await issuer.token("web-3", { sub: "system:serviceaccount:shopadmin:web" }),
      "a name with a slash": await issuer.token("admin/web"),
      "no name": await issuer.token("", { "kubernetes.io": { namespace: "shop" } }),
      "a name that is a number": await issuer.token("", { ...pod(7 as unknown as string) }),
      "claims that objects have": await issuer.token("", {
        "kubernetes.io": { namespace: "shop", pod: "x" },
      }),
    };
    for (const [what, each] of Object.entries(refused)) {
      const { status, body } = await enrol(each);
      expect([what, status, body]).toEqual([what, 403, { error: NOT_VALID }]);
      expect(lastAudited()).toMatchObject({ event: "enrol", outcome: "token_invalid" });
    }
    const expired = await issuer.token("web-3", { iat: nowS - 600, exp: nowS - 60 });
    expect((await enrol(expired)).body?.error).toEqual({
      code: "token_expired",
      message: "The platform's token has expired; the platform must issue a new one",
    });
    expect((await enrol(token)).status).toBe(200);
  });
});

describe("the issuer's keys", () => {
  scenario(
    "while they are not to be had for an unknown one, nobody is let in; then all is well by itself",
    async () => {
      await mesh.controlPlane.end();
      await mesh.startControlPlane("--enrolment", enrolmentFile);
      for (const answer of ["error", "garbage", "redirect", "huge"] as const) {
        issuer.answer = answer;
        const { status, body } = await enrol(await issuer.token("web-4"));
        expect([answer, status, body?.error]).toEqual([answer, 503, {
          code: "keys_unavailable",
          message: "The platform's token cannot be checked at the moment",
        }]);
      }
      issuer.answer = "keys";
      const before = issuer.asked;
      const many = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => enrol(await issuer.token(`web-4-${i}`))),
      );
      expect(many.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      expect(issuer.asked - before).toBe(1);
    },
  );

  scenario("in a file can be replaced, and a rule that is wrong leaves the last good ones", async () => {
    const keys = mesh.file("keys.json", JSON.stringify({ keys: [issuer.publicJwk] }));
    writeFileSync(enrolmentFile, rules().replace(`jwksUri: ${issuer.issuer}/keys`, "jwksFile: keys.json"));
    await mesh.controlPlane.says("Loaded the enrolment file");
    await issuer.rotate();
    expect((await enrol(await issuer.token("web-5"))).status).toBe(403);
    writeFileSync(keys, JSON.stringify({ keys: [issuer.publicJwk] }));
    expect((await enrol(await issuer.token("web-5"))).status).toBe(200);
    writeFileSync(keys, "{}");
    expect((await enrol(await issuer.token("web-6"))).status).toBe(503);
    writeFileSync(keys, JSON.stringify({ keys: [issuer.publicJwk] }));
    writeFileSync(enrolmentFile, rules("    subject: x\n"));
    await mesh.controlPlane.says("Refused the enrolment file; what was loaded before still holds");
    await mesh.controlPlane.says(
      "enrolment.yaml:12:5: error BOW0003 issuers[0].rules[1].subject: unknown field",
    );
    expect((await enrol(await issuer.token("web-7"))).status).toBe(200);
  });
});

scenario("no token stands in any log", async () => {
  const audit = await Bun.file(join(mesh.controlPlaneData, "ca/audit.jsonl")).text();
  const files = audit + everythingSaid();
  const secrets = tokens.flatMap((token) => token.split(".").slice(1)).filter((part) => part.length > 20);
  expect(secrets.length).toBeGreaterThan(40);
  expect(secrets.filter((secret) => files.includes(secret))).toEqual([]);
  // Nobody had another one.
  expect(files).not.toContain("join token");
});
