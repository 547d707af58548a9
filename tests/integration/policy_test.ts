/** Who may call what: the ways past a policy that others have had, tried on every protocol. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { startEcho, stopEchoes } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { scrape, total } from "./scrape.ts";

const mesh = new Mesh("127.0.42");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
const RAW = mesh.address(12);

function policy(name: string, spec: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;
}

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("services.yaml", service("web"), service("raw").replace("name: http", "name: tcp-raw"));
  mesh.write("workloads.yaml", workload("client", CLIENT), workload("web", WEB), workload("raw", RAW));
  const select = (app: string) => `selector: { matchLabels: { app: ${app} } }`;
  mesh.write(
    "policies.yaml",
    policy(
      "no-admin",
      `{ ${select("web")}, action: DENY, rules: [{ to: [{ operation: { paths: ["/admin"] } }] }] }`,
    ),
    policy(
      "no-admins",
      `{ ${
        select("web")
      }, action: DENY, rules: [{ when: [{ key: "request.headers[x-role]", values: [admin] }] }] }`,
    ),
    policy(
      "public",
      `{ ${
        select("web")
      }, rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/client"] } }], ` +
        `to: [{ operation: { paths: ["/public*", "/admin*"], notHosts: [secret.com] } }] }] }`,
    ),
    policy("raw", `{ ${select("raw")}, rules: [{ to: [{ operation: { paths: ["/"] } }] }] }`),
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11 }),
    mesh.startSidecar("shop/raw", { at: 12 }),
    startEcho("web", WEB),
    startEcho("raw", RAW),
  ]);
  await mesh.untilSynced(3);
});

afterAll(async () => {
  await stopEchoes();
  mesh.remove();
});

/** The path goes out as it is written. */
async function statusOf(version: string, path: string, ...args: readonly string[]): Promise<number> {
  const target = ["--path-as-is", `http://${CLIENT}:15001${path}`];
  return (await curl(version, "-H", "Host: web:8080", ...args, ...target)).status;
}

const REFUSED_PATHS = [
  ...["/admin", "/admin?x", "/admin?", "/info/../admin", "/info/%2e%2e/admin", "//admin", "/%61dmin"],
  ...["/public%2f..%2fadmin", "/public%5c..%5cadmin", "/public\\..\\admin", "/public/..;/admin"],
  ...["/public/..;x=1/admin", "/.;/admin", "/admin;a=b", "/admin%3Ba=b", "/adm;in", "/private"],
];

for (
  const [protocol, version] of [["HTTP/1.1", "--http1.1"], ["HTTP/2", "--http2-prior-knowledge"]] as const
) {
  describe(protocol, () => {
    scenario("what is allowed is let through", async () => {
      expect(await statusOf(version, "/public/x?y")).toBe(200);
      expect(await statusOf(version, "/public;a=b", "-H", "x-role: user")).toBe(200);
    });

    scenario("no form of a path gets past a policy", async () => {
      const statuses = await Promise.all(REFUSED_PATHS.map((path) => statusOf(version, path)));
      const passed = REFUSED_PATHS.filter((_, index) => ![400, 403].includes(statuses[index] as number));
      expect(passed).toEqual([]);
    });

    scenario("no way to repeat a field gets past a policy", async () => {
      for (
        const values of [["admin"], ["user", "admin"], ["admin", "user"], ["user,admin"], ["user, admin"]]
      ) {
        const fields = values.flatMap((value) => ["-H", `x-role: ${value}`]);
        expect([values, await statusOf(version, "/public", ...fields)]).toEqual([values, 403]);
      }
    });

    scenario("the answer says which rule refused, to gRPC too", async () => {
      const target = ["-H", "Host: web:8080", `http://${CLIENT}:15001/admin`];
      const plain = await curl(version, ...target);
      expect([plain.status, plain.body]).toEqual([403, "RBAC: access denied"]);
      expect(plain.headers["x-bowline-reply"]?.[0]).toContain(
        "rbac_access_denied_matched_policy[ns[shop]-policy[no-admin]-rule[0]]; inbound shop/web",
      );
      const grpc = await curl(version, "-H", "content-type: application/grpc", "-X", "POST", ...target);
      expect([grpc.status, grpc.headers["grpc-status"]?.[0]]).toEqual([200, "7"]);
    });
  });
}

describe("bytes", () => {
  scenario("a rule about paths allows no TCP connection", async () => {
    const answer = await curl("--proxytunnel", "-x", `http://${CLIENT}:15001`, "http://raw:8080/").catch(() =>
      null
    );
    expect(answer?.status ?? 0).not.toBe(200);
  });
});

describe("an edit", () => {
  scenario("is counted, and holds for connections that stand", async () => {
    expect(
      total(await scrape(WEB), "bowline_policy_decisions_total", { policy: "shop/no-admin", action: "deny" }),
    )
      .toBeGreaterThan(0);
    expect(await statusOf("--http1.1", "/public")).toBe(200);
    mesh.write("stop.yaml", policy("stop", "{ action: DENY, rules: [{}] }"));
    await until("everything is refused", async () => (await statusOf("--http1.1", "/public")) === 403);
  });
});
