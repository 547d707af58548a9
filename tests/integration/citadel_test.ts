/** The certificate authority through the executable: CAs that are plugged in, the list of certificates, revocation. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry } from "../../src/citadel/audit_log.ts";
import { certificateInfo } from "../../src/identity/certificate_info.ts";
import { createCsr } from "../../src/identity/csr.ts";
import { generateKeyPair } from "../../src/identity/key_pair.ts";
import { encodePem } from "../../src/identity/pem.ts";
import type { CertificatesReply } from "../../src/model/admin.ts";
import { TestAuthority } from "../unit/identity/odd_certificates.ts";
import { openssl } from "../unit/identity/openssl.ts";
import { istioFiles, makeAuthority, writeFiles } from "../unit/citadel/authority/plugged_files.ts";
import { startEcho } from "./apps.ts";
import { afterwards, type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import type { Pair } from "./certificates.ts";
import { intrude, viaSidecar } from "./clients.ts";
import { KeepAliveLoad } from "./keep_alive_load.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const HOUR_MS = 3_600_000;

const mesh = new Mesh("127.0.41");
const [CLIENT, STORE, OTHER] = [10, 11, 12];
/** Certificates of now, since the executable has the time of day. */
const now = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 10_000 * HOUR_MS };
const root = await makeAuthority({ ...now, name: "CN=Example root" });
const intermediate = await makeAuthority({ ...now, issuer: root, pathLength: 0 });
const plugged = writeFiles(istioFiles(intermediate, intermediate.pem + root.pem, root.pem));
/** With the longest life that a certificate can have: its half is more than a timer of the runtime can count. */
const flags = ["--ca", plugged, "--cert-ttl", "2160h"];

let client: Bowline;

endEverythingAfterwards();
afterwards(() => rmSync(plugged, { recursive: true }));

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
    workload("other", mesh.address(OTHER)),
  );
  await startEcho("store", mesh.address(STORE));
});

describe("run --ca", () => {
  scenario("run --ca ends with the file and the reason when the CA cannot be used", async () => {
    const expired = await makeAuthority({ ...now, issuer: root, notAfterMs: Date.now() - 1 });
    const directory = writeFiles(istioFiles(expired, expired.pem, root.pem));
    const process = mesh.launchControlPlane("--ca", directory);
    expect(await process.endsByItself()).toBe(65);
    expect(process.stderr).toContain(
      `Error: The certificate authority in ${join(directory, "ca-cert.pem")} cannot be used: ` +
        '"CN=intermediate" expired at ',
    );
    rmSync(directory, { recursive: true });
  });

  scenario(
    "run --ca signs with the intermediate, and workloads speak to each other by the root",
    async () => {
      await mesh.startControlPlane(...flags);
      client = await mesh.startSidecar("shop/client", { at: CLIENT });
      await mesh.startSidecar("shop/store", { at: STORE });
      await mesh.untilSynced(2);
      expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(200);
      const { chain, roots } = mesh.identityOf("shop/store");
      expect(roots).toBe(root.pem);
      const args = ["verify", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "chain.pem"];
      expect(openssl(args, { "roots.pem": roots, "chain.pem": chain })).toContain("OK");
    },
  );
});

describe("bowline ca rotate", () => {
  scenario("bowline ca rotate changes nothing of a CA that is plugged in, and says what to do", async () => {
    const rotate = (step: string) => bowline(["ca", "rotate", step, "--data", mesh.controlPlaneData]);
    for (const step of ["start", "finish", "abort"]) {
      const { code, stderr } = await rotate(step);
      expect([code, stderr]).toEqual([
        65,
        "Error: The control plane refused: The CA is plugged in, and its roots are yours to change: add the new root " +
        "to root-cert.pem and start again; when status shows that nobody lacks it, replace ca-cert.pem, ca-key.pem " +
        "and cert-chain.pem and start again; when nobody is left to renew, take the old root out\n",
      ]);
    }
    const { stdout } = await rotate("status");
    expect(stdout).toContain("phase: none\nproxies that trust these roots: 2 of 2 connected\n");
  });
});

describe("bowline certs", () => {
  scenario("bowline certs lists the certificates of all, and both roles tell when theirs end", async () => {
    const { code, stdout } = await bowline(["certs", "-o", "json", "--data", mesh.controlPlaneData]);
    expect(code).toBe(0);
    const { certificates } = JSON.parse(stdout) as CertificatesReply;
    expect(certificates.map(({ kind, workload, state }) => [kind, workload, state])).toEqual([
      ["root", null, "valid"],
      ["intermediate", null, "valid"],
      ["leaf", null, "valid"],
      ["leaf", "shop/client", "valid"],
      ["leaf", "shop/store", "valid"],
    ]);
    for (const url of [`${mesh.address(9)}:15014/metrics`, `${mesh.address(STORE)}:15090/stats/prometheus`]) {
      const text = await (await fetch(`http://${url}`)).text();
      for (const kind of ["leaf", "intermediate", "root"]) {
        const [, seconds] = text.match(`bowline_certificate_expiry_seconds{kind="${kind}"} (.*)`) ?? [];
        expect(Number(seconds)).toBeGreaterThan(3600);
      }
    }
  });
});

async function renewAs({ key, chain: cert }: Pair): Promise<Response> {
  return await fetch(`https://${mesh.address(9)}:15012/v1/renew`, {
    method: "POST",
    body: JSON.stringify({ csr: await createCsr(await generateKeyPair()) }),
    tls: { key, cert, rejectUnauthorized: false },
  });
}

describe("bowline cert revoke", () => {
  scenario("bowline cert revoke shuts one out at once, for good, and harms nobody else", async () => {
    await mesh.startSidecar("shop/other", { at: OTHER });
    const store = mesh.address(STORE);
    const stolen = mesh.identityOf("shop/client");
    const intruder = await intrude(stolen, store);
    let closed = false;
    intruder.on("close", () => closed = true);
    expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(200);
    expect(closed).toBe(false);

    const load = new KeepAliveLoad({ address: mesh.address(OTHER), port: 15001, host: "store:8080" }, 8);
    await until("the others call", () => load.answered > 100);
    // The thief has renewed: what is revoked is the newest certificate, what was opened stands with the one before it.
    const renewed = certificateInfo((await (await renewAs(stolen)).json() as { chain: string }).chain).serial;
    const { code, stdout } = await bowline([
      ...["cert", "revoke", renewed, "--data", mesh.controlPlaneData],
    ]);
    expect([code, stdout.trim().split("\n")]).toEqual([0, [certificateInfo(stolen.chain).serial, renewed]]);
    await until("the store closes what it has of it", () => closed, 10_000);
    expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(503);
    const again = await intrude(stolen, store);
    await until("the store refuses a new connection", () => again.closed || again.destroyed);
    const before = load.answered;
    await until("the others have called on", () => load.answered > before + 500);
    await load.stop();
    expect([load.failures, load.broken]).toEqual([[], 0]);
    // On the machine that was shut out, too, somebody sees why.
    await client.says("it answered 403: The certificate was revoked; join with a new token");
    const ready = await fetch(`http://${mesh.address(CLIENT)}:15021/healthz/ready`);
    expect([ready.status, (await ready.text()).trim()]).toEqual([503, "the certificate was revoked"]);
  });

  scenario("bowline cert revoke holds after a restart, against renewal too, and is in the CRL", async () => {
    await mesh.controlPlane.end("SIGKILL");
    const controlPlane = await mesh.startControlPlane(...flags);
    const identity = mesh.identityOf("shop/client");
    const answer = await renewAs(identity);
    expect([answer.status, await answer.json()]).toMatchObject([403, {
      error: { code: "certificate_revoked" },
    }]);
    const serial = certificateInfo(identity.chain).serial;
    await controlPlane.says(`The certificate ${serial} was revoked`);
    const audit = readFileSync(join(mesh.controlPlaneData, "ca", "audit.jsonl"), "utf8").trim().split("\n");
    expect(audit.map((line) => JSON.parse(line) as AuditEntry)).toContainEqual(
      expect.objectContaining({
        event: "renew",
        outcome: "certificate_revoked",
        by: `certificate ${serial}`,
      }),
    );
    const der = new Uint8Array(await (await fetch(`http://${mesh.address(9)}:15014/crl`)).arrayBuffer());
    const text = openssl(["crl", "-in", "crl.pem", "-noout", "-text"], {
      "crl.pem": encodePem("X509 CRL", der),
    });
    expect(text).toContain(`Serial Number: ${certificateInfo(identity.chain).serial.toUpperCase()}`);
    const { stdout } = await bowline(["certs", "--data", mesh.controlPlaneData]);
    expect(stdout).toMatch(/shop\/client .* revoked\n/);
    expect(controlPlane.isAlive).toBe(true);
  });

  scenario("bowline cert revoke, once more, breaks off what was opened since and has expired", async () => {
    const id = "spiffe://cluster.local/ns/shop/sa/client";
    const endsMs = Date.now() + 4_000;
    const { key, chain } = await TestAuthority.of(intermediate.keys, intermediate.certificate).issue({
      names: [{ type: "url", value: id }],
      notAfterMs: endsMs,
    });
    const back = { key, chain: chain + intermediate.pem };
    const intruders = [
      await intrude(back, mesh.address(STORE)),
      await intrude(back, mesh.address(9), 15012),
    ];
    await until("its certificate has expired", () => Date.now() > endsMs + 1_000);
    expect(intruders.map(({ closed }) => closed)).toEqual([false, false]);
    const { code } = await bowline(["cert", "revoke", id, "--data", mesh.controlPlaneData]);
    expect(code).toBe(0);
    await until("both have closed what it has opened", () => intruders.every(({ closed }) => closed));
  });
});
