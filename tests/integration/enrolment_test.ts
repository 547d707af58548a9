/** Join tokens in the hands of those that they are not for: of all that they try, one thing succeeds, and all is told. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SOURCE_ATTEMPTS_MAX } from "../../src/citadel/attempt_limits.ts";
import type { AuditEntry } from "../../src/citadel/audit_log.ts";
import { certificateInfo } from "../../src/identity/certificate_info.ts";
import { createCsr } from "../../src/identity/csr.ts";
import { generateKeyPair } from "../../src/identity/key_pair.ts";
import type { TokenCreateReply, TokensReply } from "../../src/model/admin.ts";
import type { CertificateReply } from "../../src/model/enrolment.ts";
import { bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { askDoor, type DoorAnswer } from "./door_client.ts";
import { Mesh } from "./mesh.ts";
import { workload } from "./resources.ts";

const mesh = new Mesh("127.0.43");
const DOOR = mesh.address(9);
const NOT_VALID = { code: "token_invalid", message: "The join token is not valid here" };

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", workload("cart", mesh.address(10), { serviceAccount: "cart" }));
  await mesh.startControlPlane();
});

async function newToken(...more: readonly string[]): Promise<TokenCreateReply> {
  const args = ["token", "create", "--workload", "shop/cart", "-o", "json", ...more];
  const { code, stdout, stderr } = await bowline([...args, "--data", mesh.controlPlaneData]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as TokenCreateReply;
}

async function newCsr(): Promise<string> {
  return await createCsr(await generateKeyPair());
}

async function enrol(token: string, from = mesh.address(100)): Promise<DoorAnswer> {
  return await askDoor(DOOR, "/v1/enrol", { token, csr: await newCsr() }, { from });
}

function audited(from: string): Partial<AuditEntry>[] {
  const text = readFileSync(join(mesh.controlPlaneData, "ca/audit.jsonl"), "utf8");
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line) as AuditEntry);
  return lines.filter(({ address }) => address === from);
}

function altered(token: string, claims: Readonly<Record<string, unknown>>): string {
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const old = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  return [header, Buffer.from(JSON.stringify({ ...old, ...claims })).toString("base64url"), signature].join(
    ".",
  );
}

describe("a join token", () => {
  scenario("used by 100 at once it lets one in, and each attempt is in the audit log", async () => {
    const { token, id } = await newToken();
    const from = mesh.address(101);
    const answers = await Promise.all(Array.from({ length: 100 }, () => enrol(token, from)));
    const [won, ...more] = answers.filter(({ status }) => status === 200);
    expect(more).toEqual([]);
    const { spiffeId, chain } = won?.body as unknown as CertificateReply;
    expect(spiffeId).toBe("spiffe://cluster.local/ns/shop/sa/cart");
    const lost = answers.filter(({ status }) => status !== 200).map(({ status, body }) => [status, body]);
    const used = {
      code: "token_used",
      message: "The join token was used already; ask for a new one",
    };
    expect(lost).toEqual(Array.from({ length: 99 }, () => [403, { error: used }]));
    const lines = audited(from);
    expect(lines.filter(({ outcome }) => outcome === "token_used")).toHaveLength(99);
    expect(lines.find(({ outcome }) => outcome === "issued")).toMatchObject({
      ...{ event: "enrol", by: `token ${id}`, workload: "shop/cart", spiffeId },
      serial: certificateInfo(chain).serial,
    });
  });

  scenario("altered or guessed it is refused in the same words, and the true one still works", async () => {
    const { token } = await newToken();
    const other = (await newToken()).token;
    const [header, payload] = token.split(".") as [string, string];
    const forged = [
      altered(token, { workload: "shop/other" }),
      altered(token, { sub: "spiffe://cluster.local/ns/shop/sa/admin" }),
      altered(token, { sub: "spiffe://cluster.local/ns/bowline-system/sa/control-plane" }),
      altered(token, { exp: 4_000_000_000 }),
      altered(token, { source: ["0.0.0.0/0"] }),
      [header, payload, other.split(".")[2]].join("."),
      [Buffer.from('{"alg":"none"}').toString("base64url"), payload, ""].join("."),
      [header, payload, ""].join("."),
      "x".repeat(10_000),
      "",
    ];
    for (const each of forged) {
      const { status, body } = await enrol(each);
      expect([status, body]).toEqual([403, { error: NOT_VALID }]);
    }
    expect((await enrol(token)).status).toBe(200);
    expect((await enrol(other)).status).toBe(200);
  });

  scenario("past its time it is refused", async () => {
    const { token, expiresAt } = await newToken("--ttl", "1s");
    await Bun.sleep(Math.max(0, Date.parse(expiresAt) - Date.now()) + 20);
    expect(await enrol(token)).toMatchObject({ status: 403, body: { error: { code: "token_expired" } } });
  });

  scenario("bound to a network it works from there alone, and is not used up from elsewhere", async () => {
    const inside = mesh.address(130);
    const outside = mesh.address(140);
    const { token, id } = await newToken("--source", `${mesh.address(128)}/29`);
    const { status, body } = await enrol(token, outside);
    expect([status, body]).toEqual([403, { error: NOT_VALID }]);
    expect(audited(outside)).toMatchObject([{
      ...{ event: "enrol", outcome: "token_invalid" },
      detail: expect.stringContaining(`The join token ${id} for shop/cart`),
    }]);
    expect((await enrol(token, inside)).status).toBe(200);
    expect(audited(inside)).toMatchObject([{ outcome: "issued" }]);
  });

  scenario("revoked it is worthless; `token list` has those that are not, without a secret", async () => {
    const { token, id } = await newToken();
    const left = await newToken();
    const list = async () => {
      const { stdout } = await bowline(["token", "list", "-o", "json", "--data", mesh.controlPlaneData]);
      expect(stdout).not.toContain(token);
      return (JSON.parse(stdout) as TokensReply).tokens.map((each) => each.id);
    };
    expect((await list()).toSorted()).toEqual([id, left.id].toSorted());
    expect((await bowline(["token", "revoke", id, "--data", mesh.controlPlaneData])).code).toBe(0);
    expect(await list()).toEqual([left.id]);
    expect(await enrol(token)).toMatchObject({ status: 403, body: { error: { code: "token_unknown" } } });
    expect((await bowline(["token", "revoke", id, "--data", mesh.controlPlaneData])).code).toBe(65);
  });
});

describe("who tries again and again", () => {
  scenario("is told to wait, while others join; the audit log says so once", async () => {
    const from = mesh.address(150);
    const answers: DoorAnswer[] = [];
    for (let sent = 0; sent < 2 * SOURCE_ATTEMPTS_MAX; sent += 20) {
      answers.push(...await Promise.all(Array.from({ length: 20 }, () => enrol("guess", from))));
    }
    const held = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 403).length).toBeGreaterThanOrEqual(SOURCE_ATTEMPTS_MAX);
    expect(held.length).toBeGreaterThan(0);
    expect(held[0]).toMatchObject({
      headers: { "retry-after": "1" },
      body: { error: { code: "too_many_attempts", message: "Too many attempts; try again later" } },
    });
    const lines = audited(from);
    const told = lines.filter(({ outcome }) => outcome === "too_many_attempts");
    // Once for each attempt that came back with time.
    const judged = answers.length - held.length;
    expect(told.length).toBeWithin(1, judged - SOURCE_ATTEMPTS_MAX + 2);
    expect(lines.length).toBe(judged + told.length);
    expect((await enrol((await newToken()).token, mesh.address(151))).status).toBe(200);
  });
});
