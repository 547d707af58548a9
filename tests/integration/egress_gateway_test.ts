/** A gateway for calls that leave the mesh, as the example has it, and what a Sidecar leaves out of them. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority } from "./certificates.ts";
import { runCurl, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.126");
const WEB = mesh.address(11);
const CLIENT = mesh.address(12);
const EGRESS = mesh.address(21);
const OUTSIDE = mesh.address(30);

const authority = new OutsideAuthority(mesh.directory, "authority");
const certificate = authority.issue("DNS:api.partner.example");
const partner = createServer(
  { cert: certificate.chain, key: certificate.key },
  (socket) => socket.end("from the partner\n"),
);

endEverythingAfterwards();

/** The example, at addresses of this machine. */
const EGRESS_EXAMPLE = readFileSync(
  join(import.meta.dirname, "../../config/examples/egress-gateway/mesh.yaml"),
  "utf8",
).replaceAll("10.0.0.20", EGRESS).replace(
  "198.51.100.7",
  `${OUTSIDE}\n      ports: { http: 7080, tls: 7444 }`,
);

beforeAll(async () => {
  mesh.write("mesh.yaml", service("web"), workload("web", WEB), workload("client", CLIENT));
  mesh.write("egress.yaml", EGRESS_EXAMPLE);
  await new Promise<void>((resolve) => partner.listen(7444, OUTSIDE, resolve));
  afterwards(() => partner.close());
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/web", { at: 11 }),
    mesh.startSidecar("shop/client", { at: 12 }),
    mesh.startSidecar("edge/egress", { at: 21, role: "gateway", workers: 2 }),
    startEcho("web", WEB),
    startEcho("partner", OUTSIDE, undefined, 7080),
  ]);
  await mesh.untilSynced(3);
});

describe("an egress gateway", () => {
  scenario("takes the calls of sidecars to a host outside, and says that it was there", async () => {
    const { status, body } = await viaSidecar(CLIENT, "api.partner.example", "/x");
    const echo = JSON.parse(body) as Echo;
    expect([status, echo.app, echo.path]).toEqual([200, "partner", "/x"]);
    expect(echo.headers["host"]).toBe("api.partner.example");
    expect(echo.headers["x-forwarded-for"]).toBeDefined();
  });

  scenario("takes nothing there from who has no such certificate", async () => {
    const { code } = await runCurl([
      ...["-sk", "--connect-to", `api.partner.example:443:${EGRESS}:8080`, "https://api.partner.example/"],
    ]);
    expect(code).not.toBe(0);
    const plain = await runCurl(["-s", "-H", "Host: api.partner.example", `http://${EGRESS}:8080/`]);
    expect(plain.code).not.toBe(0);
  });

  scenario("passes on their TLS by its server name", async () => {
    const { stdout } = await runCurl([
      ...["-s", "--http0.9", "--cacert", authority.rootFile],
      ...["--connect-to", `api.partner.example:443:${CLIENT}:15001`, "https://api.partner.example/"],
    ]);
    expect(stdout).toBe("from the partner\n");
  });

  scenario("knows which sidecar calls, by the certificate of the mesh", async () => {
    const allow = (account: string) =>
      mesh.write(
        "policy.yaml",
        `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: egress, namespace: edge }
spec: { rules: [{ from: [{ source: { serviceAccounts: [shop/${account}] } }] }] }
`,
      );
    const status = async () => (await viaSidecar(CLIENT, "api.partner.example")).status;
    allow("web");
    await until("the client is refused", async () => await status() === 403);
    allow("client");
    await until("the client is let through", async () => await status() === 200);
    mesh.write("policy.yaml", "");
  });
});

describe("Sidecar", () => {
  scenario("what it leaves out is unknown, and blocked where only what is known is let through", async () => {
    mesh.write(
      "sidecar.yaml",
      `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: client, namespace: shop }
spec:
  workloadSelector: { labels: { app: client } }
  egress: [{ hosts: ["./web.shop.svc.cluster.local"] }]
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
`,
    );
    const partner = async () => (await viaSidecar(CLIENT, "api.partner.example")).status;
    await until("the partner is blocked", async () => await partner() === 502);
    expect((await viaSidecar(CLIENT, "web")).status).toBe(200);
    mesh.write("sidecar.yaml", "");
    await until("the partner is back", async () => await partner() === 200);
  });
});
