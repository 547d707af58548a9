import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { certificateInfo } from "../../../src/identity/certificate_info.ts";
import { createCsr } from "../../../src/identity/csr.ts";
import { readJoinToken } from "../../../src/identity/join_token_claims.ts";
import { encodePrivateKey, generateKeyPair } from "../../../src/identity/key_pair.ts";
import { peerIdentity } from "../../../src/identity/peer_identity.ts";
import { pinnedRoot } from "../../../src/identity/trust_bundle.ts";
import { controlPlaneId } from "../../../src/model/spiffe_id.ts";
import { openssl } from "../identity/openssl.ts";
import {
  CART,
  enrolled,
  failingFiles,
  freshDirectory,
  newCsr,
  openCitadel,
  openLiveCitadel,
  removeDirectories,
  START_MS,
  TRUST_DOMAIN,
} from "./test_citadel.ts";

afterAll(removeDirectories);

const DAY_MS = 86_400_000;

describe("Citadel.enrol()", () => {
  test("Citadel.enrol() gives exactly the identity of the token", async () => {
    const { citadel, issued } = await enrolled();
    expect(issued).toMatchObject({ workload: CART.workload, notAfterMs: START_MS + DAY_MS });
    expect(issued.reply.spiffeId).toBe(CART.spiffeId);
    expect(certificateInfo(issued.reply.chain)).toMatchObject({
      spiffeId: CART.spiffeId,
      serial: issued.serial,
    });
    expect(issued.reply.roots).toBe(citadel.trustBundle().roots);
    expect([...citadel.enrolledWorkloads()]).toEqual([CART.workload]);
  });

  test("Citadel.enrol() takes nothing but the key from the request", async () => {
    const { citadel } = await openCitadel();
    const { token } = await citadel.createToken(CART);
    const asked = openssl([
      ...[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "key.pem",
      ],
      ...[
        "-subj",
        "/CN=admin/O=evil",
        "-addext",
        "subjectAltName=URI:spiffe://mesh.test/ns/shop/sa/admin,DNS:a",
      ],
      ...["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"],
    ], {});
    const csr = asked.slice(asked.indexOf("-----BEGIN CERTIFICATE REQUEST"));
    const { reply } = await citadel.enrol({ token, csr });
    const text = openssl(["x509", "-in", "leaf.pem", "-noout", "-text"], { "leaf.pem": reply.chain });
    expect(text).toContain(`URI:${CART.spiffeId}\n`);
    expect(text).toContain("CA:FALSE");
    for (const odd of ["admin", "evil", "DNS:", "CA:TRUE", "Certificate Sign"]) {
      expect(text).not.toContain(odd);
    }
  });

  test("Citadel.enrol() issues to exactly one of 100 that come with one token", async () => {
    const { citadel, dataDirectory } = await openCitadel();
    const { token } = await citadel.createToken(CART);
    const csr = await newCsr();
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, () => citadel.enrol({ token, csr })),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    const refused = results.flatMap((result) => result.status === "rejected" ? [result.reason.code] : []);
    expect(new Set(refused)).toEqual(new Set(["token_used"]));
    expect(readFileSync(join(dataDirectory, "ca/issued.jsonl"), "utf8").trim().split("\n")).toHaveLength(1);
  });

  test("Citadel.enrol() leaves the token alone when the request is bad", async () => {
    const { citadel } = await openCitadel();
    const { token } = await citadel.createToken(CART);
    await expect(citadel.enrol({ token, csr: "garbage" })).rejects.toMatchObject({ code: "csr_refused" });
    expect((await citadel.enrol({ token, csr: await newCsr() })).reply.spiffeId).toBe(CART.spiffeId);
  });

  test("Citadel.enrol() refuses a request without a token, and another mesh's token", async () => {
    const { citadel } = await openCitadel();
    const { token } = await (await openCitadel()).citadel.createToken(CART);
    const csr = await newCsr();
    for (const request of [{ csr }, { csr, token }, { csr, token: "" }]) {
      await expect(citadel.enrol(request)).rejects.toMatchObject({ code: "token_invalid" });
    }
  });

  test("Citadel.enrol() hands nothing out when the disk fails, and says little to the caller", async () => {
    // ca/, then tokens/used, revoked and pending; then the token's move, then the log's line.
    for (const failAt of [4, 5]) {
      const { citadel, dataDirectory, clock } = await openCitadel();
      const { token } = await citadel.createToken(CART);
      const broken = await openCitadel({ dataDirectory, clock, files: failingFiles(failAt, "before") });
      await expect(broken.citadel.enrol({ token, csr: await newCsr() })).rejects.toMatchObject({
        code: "storage_failed",
        message: "The control plane cannot issue certificates at the moment",
        detail: expect.stringContaining(dataDirectory),
      });
      expect(broken.citadel.enrolledWorkloads().size).toBe(0);
      // A token that nothing came of is still good, and good for one.
      expect((await citadel.enrol({ token, csr: await newCsr() })).workload).toBe(CART.workload);
      await expect(citadel.enrol({ token, csr: await newCsr() })).rejects.toMatchObject({
        code: "token_used",
      });
    }
  });
});

describe("Citadel.groupOf()", () => {
  test("Citadel.groupOf() knows the group of a token's workload, through renewals and restarts", async () => {
    const { citadel, clock, dataDirectory, issued } = await enrolled({ group: "shop/cart" });
    expect(citadel.groupOf(CART.workload)).toBe("shop/cart");
    await citadel.renew(issued.reply.spiffeId, CART.workload, { csr: await newCsr() });
    const again = await openCitadel({ clock, dataDirectory });
    expect(again.citadel.groupOf(CART.workload)).toBe("shop/cart");
    clock.advance(DAY_MS + 1);
    expect(again.citadel.groupOf(CART.workload)).toBeUndefined();
  });

  test("Citadel.groupOf() knows no group of who joined without one", async () => {
    const { citadel } = await enrolled();
    expect(citadel.groupOf(CART.workload)).toBeUndefined();
    expect(citadel.groupOf("shop/nobody")).toBeUndefined();
  });

  test("Citadel.createToken() refuses a group of another namespace", async () => {
    const { citadel } = await openCitadel();
    for (const group of ["bank/cart", "cart", ""]) {
      await expect(citadel.createToken({ ...CART, group })).rejects.toThrow(
        "is no WorkloadGroup of namespace shop",
      );
    }
  });
});

describe("Citadel.renew()", () => {
  test("Citadel.renew() needs nothing but the identity that TLS proved", async () => {
    const { citadel, clock, issued } = await enrolled();
    clock.advance(DAY_MS / 2);
    const renewed = await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
    expect(renewed).toMatchObject({ workload: CART.workload, notAfterMs: START_MS + 1.5 * DAY_MS });
    expect(renewed.serial).not.toBe(issued.serial);
    // A token is used up; with a certificate anybody can ask on and on, whose attempts are counted therefore.
    expect([issued.usesUp, renewed.usesUp]).toEqual([true, false]);
    clock.advance(DAY_MS);
    expect([...citadel.enrolledWorkloads()]).toEqual([CART.workload]);
    expect((await citadel.renew(CART.spiffeId, undefined, { csr: await newCsr() })).workload).toBe(
      CART.workload,
    );
  });

  test("Citadel.renew() works after a restart", async () => {
    const { dataDirectory, clock } = await enrolled();
    const { citadel } = await openCitadel({ dataDirectory, clock });
    expect([...citadel.enrolledWorkloads()]).toEqual([CART.workload]);
    const renewed = await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
    expect(renewed.reply.spiffeId).toBe(CART.spiffeId);
  });

  test("Citadel.renew() refuses a workload that is not enrolled under that identity", async () => {
    const { citadel, clock } = await enrolled();
    const other = { workload: "shop/admin-v1", spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/admin` };
    const { token } = await citadel.createToken({ ...CART, ...other });
    await citadel.enrol({ token, csr: await newCsr() });
    const csr = await newCsr();
    const wrong: [string, string | undefined][] = [
      [CART.spiffeId, other.workload],
      [other.spiffeId, CART.workload],
      [CART.spiffeId, "shop/none"],
      [`spiffe://${TRUST_DOMAIN}/ns/shop/sa/none`, undefined],
      [controlPlaneId(TRUST_DOMAIN), undefined],
    ];
    for (const [peer, workload] of wrong) {
      await expect(citadel.renew(peer, workload, { csr })).rejects.toMatchObject({
        code: "renewal_refused",
        message: "The renewal was refused",
      });
    }
    clock.advance(DAY_MS + 1);
    await expect(citadel.renew(CART.spiffeId, CART.workload, { csr })).rejects.toMatchObject({
      code: "renewal_refused",
    });
  });

  test("Citadel.renew() wants to know which of several workloads of one identity asks", async () => {
    const { citadel } = await enrolled();
    const { token } = await citadel.createToken({ ...CART, workload: "shop/cart-v2" });
    await citadel.enrol({ token, csr: await newCsr() });
    const csr = await newCsr();
    await expect(citadel.renew(CART.spiffeId, undefined, { csr })).rejects.toMatchObject({
      code: "renewal_refused",
      detail: expect.stringContaining("2 workloads"),
    });
    for (const workload of [CART.workload, "shop/cart-v2"]) {
      expect((await citadel.renew(CART.spiffeId, workload, { csr })).workload).toBe(workload);
    }
  });

  test("Citadel.renew() refuses a bad request", async () => {
    const { citadel } = await enrolled();
    const renewal = citadel.renew(CART.spiffeId, CART.workload, { csr: "garbage" });
    await expect(renewal).rejects.toMatchObject({ code: "csr_refused" });
  });
});

describe("Citadel.createToken()", () => {
  test("Citadel.createToken() pins the CA of this mesh", async () => {
    const { citadel } = await openCitadel();
    const { caPin } = readJoinToken((await citadel.createToken(CART)).token, "the token");
    expect(caPin).toBe(citadel.caPin);
    expect(await pinnedRoot(citadel.trustBundle().roots, caPin)).toBe(citadel.trustBundle().roots);
  });

  test("Citadel.createToken() refuses identities that are not the workload's to have", async () => {
    const { citadel } = await openCitadel();
    const odd: Partial<Record<keyof typeof CART, string>>[] = [
      { workload: "cart" },
      { spiffeId: "spiffe://other.test/ns/shop/sa/cart" },
      { spiffeId: `spiffe://${TRUST_DOMAIN}/ns/bank/sa/cart` },
      { spiffeId: "cart" },
      { workload: "bowline-system/x", spiffeId: controlPlaneId(TRUST_DOMAIN) },
    ];
    for (const each of odd) {
      await expect(citadel.createToken({ ...CART, ...each })).rejects.toMatchObject({
        code: "request_invalid",
      });
    }
  });
});

describe("Citadel.open()", () => {
  test("Citadel.open() stays what it is across restarts", async () => {
    const { citadel, dataDirectory, clock } = await openCitadel();
    const { token } = await citadel.createToken(CART);
    const again = await openCitadel({ dataDirectory, clock });
    expect(again.citadel.caPin).toBe(citadel.caPin);
    expect((await again.citadel.enrol({ token, csr: await newCsr() })).workload).toBe(CART.workload);
  });

  test("Citadel.open() leaves the state before or after, at whichever step the disk fails", async () => {
    for (const when of ["before", "after"] as const) {
      let steps = 0;
      for (let failed = true; failed; steps++) {
        const dataDirectory = freshDirectory();
        failed = await openCitadel({ dataDirectory, files: failingFiles(steps, when) }).then(
          () => false,
          () => true,
        );
        const { citadel } = await openCitadel({ dataDirectory });
        const { token } = await citadel.createToken(CART);
        expect((await citadel.enrol({ token, csr: await newCsr() })).workload).toBe(CART.workload);
        expect((await openCitadel({ dataDirectory })).citadel.caPin).toBe(citadel.caPin);
      }
      expect(steps).toBeGreaterThan(4);
    }
  });

  test("Citadel.open() knows an issuance log that was lost from one that begins", async () => {
    const { citadel, dataDirectory } = await enrolled();
    expect(citadel.hasLostLog).toBe(false);
    expect((await openCitadel({ dataDirectory })).citadel.hasLostLog).toBe(false);
    rmSync(join(dataDirectory, "ca/issued.jsonl"));
    expect((await openCitadel({ dataDirectory })).citadel.hasLostLog).toBe(true);
  });

  test("Citadel.open() refuses a directory that others can enter", async () => {
    const { dataDirectory } = await openCitadel();
    chmodSync(join(dataDirectory, "ca"), 0o755);
    await expect(openCitadel({ dataDirectory })).rejects.toThrow(
      `run: chmod 700 ${join(dataDirectory, "ca")}`,
    );
  });

  test("Citadel.open() refuses a trust domain that no SPIFFE ID can have", async () => {
    for (const trustDomain of ["", "Mesh", "a/b", "a b", "spiffe://a"]) {
      await expect(openCitadel({ trustDomain })).rejects.toMatchObject({ code: "request_invalid" });
    }
  });

  test("Citadel.issueOwn() gives the control plane its identity, and enrols no workload", async () => {
    const { citadel } = await openCitadel();
    const own = await citadel.issueOwn();
    expect(certificateInfo(own.chain)).toMatchObject({
      spiffeId: controlPlaneId(TRUST_DOMAIN),
      notAfterMs: own.notAfterMs,
      notBeforeMs: own.notBeforeMs,
    });
    expect((await citadel.issueOwn()).key).not.toBe(own.key);
    expect(citadel.enrolledWorkloads().size).toBe(0);
  });
});

test("a workload that was enrolled and the control plane know each other over TLS", async () => {
  const citadel = await openLiveCitadel(freshDirectory());
  const own = await citadel.issueOwn();
  const keys = await generateKeyPair();
  const { token } = await citadel.createToken(CART);
  const { reply } = await citadel.enrol({ token, csr: await createCsr(keys) });
  const seen = { client: Promise.withResolvers<unknown>(), server: Promise.withResolvers<unknown>() };
  const judge = (peer: "client" | "server") => ({
    data() {},
    handshake(socket: Bun.Socket, _success: boolean, error: Error | null) {
      const certificate = socket.getPeerCertificate() as unknown as { raw?: Uint8Array };
      const expected = { peer, trustDomain: TRUST_DOMAIN, spiffeId: null, nowMs: Date.now() };
      seen[peer].resolve(peerIdentity({ error, certificate }, expected));
    },
  });
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: own.key, cert: own.chain, ca: own.roots, requestCert: true, rejectUnauthorized: true },
    socket: judge("client"),
  });
  const key = await encodePrivateKey(keys.privateKey);
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    tls: { key, cert: reply.chain, ca: reply.roots, rejectUnauthorized: false },
    socket: judge("server"),
  });
  expect(await seen.client.promise).toMatchObject({ ok: true, spiffeId: CART.spiffeId });
  expect(await seen.server.promise).toMatchObject({ ok: true, spiffeId: controlPlaneId(TRUST_DOMAIN) });
  socket.end();
  listener.stop(true);
});

describe("Citadel.certificates()", () => {
  test("Citadel.certificates() lists the CA's own and every other, with identity, end and state", async () => {
    const { citadel, clock, issued } = await enrolled();
    await citadel.issueOwn();
    const states = () => citadel.certificates().map(({ kind, workload, state }) => [kind, workload, state]);
    expect(states()).toEqual([["root", null, "valid"], ["leaf", null, "valid"], [
      "leaf",
      CART.workload,
      "valid",
    ]]);
    expect(citadel.certificates()[2]).toEqual({
      kind: "leaf",
      identity: CART.spiffeId,
      workload: CART.workload,
      serial: issued.serial,
      notAfter: new Date(START_MS + DAY_MS).toISOString(),
      state: "valid",
    });
    clock.advance(DAY_MS * 0.75);
    expect(states()[2]).toEqual(["leaf", CART.workload, "expiring"]);
    await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
    expect(states().slice(2)).toEqual([
      ["leaf", CART.workload, "replaced"],
      ["leaf", CART.workload, "valid"],
    ]);
    clock.advance(DAY_MS);
    expect(states().slice(1)).toEqual([["leaf", null, "expired"], ["leaf", CART.workload, "expired"]]);
  });
});
