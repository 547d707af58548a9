/** Who may call what: the ways past a policy that others have had, tried on every protocol. */
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl, exchange, runCurl, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { authorizationPolicy, meshConfig, service, workload } from "./resources.ts";
import { scrape, total } from "./scrape.ts";

const mesh = new Mesh("127.0.42");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
const RAW = mesh.address(12);
const DOTS = mesh.address(13);
const BYTES = mesh.address(14);

/** Another host of the workload `web`. */
function alias(host: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host}, namespace: shop }
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  ports: [{ number: 8080, name: http, protocol: HTTP }]
  resolution: STATIC
  workloadSelector: { labels: { app: web } }
`;
}

function bytesFrom(principals: readonly string[]): string {
  const source = `{ principals: ${JSON.stringify(principals)} }`;
  return authorizationPolicy(
    "bytes",
    `{ selector: { matchLabels: { app: bytes } }, rules: [{ from: [{ source: ${source} }] }] }`,
  );
}

endEverythingAfterwards();

beforeAll(async () => {
  const tcp = (name: string) => service(name).replace("name: http", `name: tcp-${name}`);
  mesh.write(
    "services.yaml",
    ...[service("web"), service("dots"), tcp("raw"), tcp("bytes")],
    // Names by which the workload is called too, so that hosts can be asked for.
    alias("secret.com"),
    alias("other.com"),
    alias("ported.com"),
  );
  mesh.write(
    "workloads.yaml",
    ...[workload("client", CLIENT), workload("web", WEB), workload("raw", RAW)],
    ...[workload("dots", DOTS), workload("bytes", BYTES)],
  );
  const select = (app: string) => `selector: { matchLabels: { app: ${app} } }`;
  const deny = (rule: string) => `{ ${select("web")}, action: DENY, rules: [{ ${rule} }] }`;
  mesh.write(
    "policies.yaml",
    authorizationPolicy(
      "no-admin",
      deny('to: [{ operation: { paths: ["/admin", "/hidden/{*}/x", "/ends/{**}/admin"] } }]'),
    ),
    authorizationPolicy("no-admins", deny('when: [{ key: "request.headers[x-role]", values: [admin] }]')),
    authorizationPolicy("no-secret", deny('to: [{ operation: { hosts: [secret.com, "ported.com:8080"] } }]')),
    authorizationPolicy(
      "no-forged",
      deny('when: [{ key: "request.headers[x-envoy-original-path]", values: ["*"] }]'),
    ),
    authorizationPolicy(
      "public",
      `{ ${
        select("web")
      }, rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/client"] } }], ` +
        `to: [{ operation: { paths: ["/public*", "/admin*", "/hidden*", "/ends*"], notHosts: [other.com] } }] }] }`,
    ),
    authorizationPolicy(
      "dots",
      `{ ${
        select("dots")
      }, rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/cl.ent"] } }] }, ` +
        `{ to: [{ operation: { paths: ["/a.b", "/r.*"] } }] }] }`,
    ),
    authorizationPolicy("raw", `{ ${select("raw")}, rules: [{ to: [{ operation: { paths: ["/"] } }] }] }`),
  );
  mesh.write("bytes.yaml", bytesFrom(["*/ns/shop/sa/client"]));
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11 }),
    mesh.startSidecar("shop/raw", { at: 12 }),
    mesh.startSidecar("shop/dots", { at: 13 }),
    mesh.startSidecar("shop/bytes", { at: 14 }),
    startEcho("web", WEB),
    startEcho("raw", RAW),
    startEcho("dots", DOTS),
    startEcho("bytes", BYTES),
  ]);
  await mesh.untilSynced(5);
});

interface Way {
  readonly name: string;
  readonly args: readonly string[];
  readonly grpc: boolean;
}

const WAYS: readonly Way[] = [
  { name: "HTTP/1.1", args: ["--http1.1"], grpc: false },
  { name: "HTTP/2", args: ["--http2-prior-knowledge"], grpc: false },
  {
    name: "gRPC",
    args: ["--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"],
    grpc: true,
  },
];

/** By gRPC status, of those that policies and paths answer. */
const HTTP_STATUS: Readonly<Record<string, number>> = { "7": 403, "12": 404, "13": 400 };

function statusOf(way: Way, path: string, ...more: readonly string[]): Promise<number> {
  return statusAt("web:8080", way, path, ...more);
}

/** The path goes out as it is written. gRPC's status as that of HTTP. */
async function statusAt(host: string, { args, grpc }: Way, path: string, ...more: readonly string[]) {
  const target = ["--path-as-is", `http://${CLIENT}:15001${path}`];
  const { status, headers } = await curl(...args, "-H", `Host: ${host}`, ...more, ...target);
  const grpcStatus = headers["grpc-status"]?.[0];
  return grpc && grpcStatus !== undefined ? HTTP_STATUS[grpcStatus] ?? 500 : status;
}

const REFUSED_PATHS = [
  ...["/admin", "/admin?x", "/admin?", "/info/../admin", "/info/%2e%2e/admin", "//admin", "/%61dmin"],
  ...["/public%2f..%2fadmin", "/public%5c..%5cadmin", "/public\\..\\admin", "/public/..;/admin"],
  ...["/public/..;x=1/admin", "/.;/admin", "/admin;a=b", "/admin%3Ba=b", "/adm;in", "/private"],
  // Templates, with their own signs in the path.
  ...["/hidden/*/x", "/hidden/{*}/x", "/hidden/a;b/x", "/ends/*/{**}/admin"],
  // What is no ASCII, raw and escaped.
  ...["/hidden/%ff/x", "/hidden/%C3%A9/x", "/%00/../admin"],
];

/** Hosts that a rule means, however they are written; 404 where the mesh does not know them so. */
const SECRET_HOSTS = ["secret.com", "SECRET.com", "secret.com:8080", "Secret.COM:8080", "secret.com."];
/** Of a host that is refused at one port alone. */
const SECRET_PORTS = ["ported.com:8080", "PORTED.com.:8080", "ported.com:08080"];

for (const way of WAYS) {
  describe(way.name, () => {
    scenario("what is allowed is let through", async () => {
      expect(await statusOf(way, "/public/x?y")).toBe(200);
      expect(await statusOf(way, "/public;a=b", "-H", "x-role: user")).toBe(200);
      expect(await statusOf(way, "/hidden/a/b/x")).toBe(200);
    });

    scenario("no form of a path gets past a policy", async () => {
      const statuses = await Promise.all(REFUSED_PATHS.map((path) => statusOf(way, path)));
      const passed = REFUSED_PATHS.filter((_, index) => ![400, 403].includes(statuses[index] as number));
      expect(passed).toEqual([]);
    });

    scenario("no form of a host gets past a policy", async () => {
      for (const host of SECRET_HOSTS) {
        const status = await statusAt(host, way, "/public");
        expect([host, [403, 404].includes(status)]).toEqual([host, true]);
      }
      expect(await statusAt("secret.com:8080", way, "/public")).toBe(403);
      for (const host of SECRET_PORTS) {
        expect([host, await statusAt(host, way, "/public")]).toEqual([host, 403]);
      }
      // `hosts` of one rule and `notHosts` of another.
      expect(await statusAt("other.com:8080", way, "/public")).toBe(403);
    });

    scenario("no way to repeat a field gets past a policy", async () => {
      for (
        const values of [["admin"], ["user", "admin"], ["admin", "user"], ["user,admin"], ["user, admin"]]
      ) {
        const fields = values.flatMap((value) => ["-H", `x-role: ${value}`]);
        expect([values, await statusOf(way, "/public", ...fields)]).toEqual([values, 403]);
      }
    });

    scenario("fields of proxies are taken off before a policy looks, and nobody can write them", async () => {
      const fields = ["x-envoy-original-path: /public", "x-bowline-port: 1", "x-bowline-peer: a;b;c"];
      const cgi = ["x_forwarded_client_cert: URI=spiffe://x", "x-forwarded_client-cert: URI=spiffe://x"];
      const { body } = await curl(
        ...way.args,
        ...cgi.flatMap((field) => ["-H", field]),
        "-H",
        "Host: web:8080",
        `http://${CLIENT}:15001/public`,
      );
      const names = Object.keys((JSON.parse(body) as Echo).headers);
      expect(names.filter((name) => /forwarded.client/.test(name))).toEqual(["x-forwarded-client-cert"]);
      for (const field of fields) {
        expect([field, await statusOf(way, "/public", "-H", field)]).toEqual([field, 200]);
        expect([field, await statusOf(way, "/admin", "-H", field)]).toEqual([field, 403]);
      }
    });

    scenario("a dot is a dot, in principals and paths", async () => {
      const dots = (path: string) => statusAt("dots:8080", way, path);
      expect([await dots("/a.b"), await dots("/axb"), await dots("/r.x"), await dots("/rxx")])
        .toEqual([200, 403, 200, 403]);
    });

    scenario("the answer says which rule refused", async () => {
      const answer = await curl(...way.args, "-H", "Host: web:8080", `http://${CLIENT}:15001/admin`);
      expect(answer.headers["x-bowline-reply"]?.[0]).toContain(
        "rbac_access_denied_matched_policy[ns[shop]-policy[no-admin]-rule[0]]; inbound shop/web",
      );
      const said = way.grpc ? answer.headers["grpc-message"]?.[0] : answer.body;
      expect(decodeURIComponent(said ?? "")).toBe("RBAC: access denied");
    });
  });
}

const [HTTP1] = WAYS as readonly [Way];

describe("HTTP/1.1 as it is written", () => {
  /** The first line of the answer. */
  const answer = async (...lines: readonly string[]) => {
    const { text } = await exchange(CLIENT, 15001, [...lines, "connection: close", "", ""].join("\r\n"));
    return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  };

  scenario("two hosts, another one in the target, and a scheme in capitals get past no policy", async () => {
    expect(await answer("GET /public HTTP/1.1", "Host: web:8080", "Host: secret.com:8080")).toBe(400);
    for (const host of ["secret%2ecom:8080", "s%65cret.com:8080"]) {
      expect([host, await answer("GET /public HTTP/1.1", `Host: ${host}`)]).toEqual([host, 400]);
      expect([host, await answer(`GET http://${host}/public HTTP/1.1`, "Host: web:8080")]).toEqual([
        host,
        400,
      ]);
    }
    expect(await answer("GET http://secret.com:8080/public HTTP/1.1", "Host: web:8080")).toBe(403);
    expect([400, 403]).toContain(
      await answer("GET HTTP://secret.com:8080/public HTTP/1.1", "Host: web:8080"),
    );
    expect([400, 403]).toContain(await answer("GET HTTP://web:8080/admin HTTP/1.1", "Host: web:8080"));
    expect([400, 403]).toContain(await answer("GET /admin#x HTTP/1.1", "Host: web:8080"));
    expect([400, 403]).toContain(await answer("GET /hidden/\xff/x HTTP/1.1", "Host: web:8080"));
  });
});

describe("bytes", () => {
  scenario("a rule about paths allows no TCP connection", async () => {
    const tunnel = async (host: string) => {
      const proxy = ["--proxytunnel", "-x", `http://${CLIENT}:15001`, `http://${host}/`];
      return (await runCurl(["-s", "-o", "/dev/null", "-w", "%{http_connect} %{http_code}", ...proxy]))
        .stdout;
    };
    expect(await tunnel("bytes:8080")).toBe("200 200");
    expect(await tunnel("raw:8080")).toBe("403 000");
  });

  scenario("nor a request to a port that carries bytes, which has no path to a policy", async () => {
    const refused = await viaSidecar(CLIENT, "raw:8080", "/", "-H", "authorization: Bearer x.y.z");
    expect([refused.status, refused.body]).toEqual([403, "RBAC: access denied"]);
    expect((await viaSidecar(CLIENT, "bytes:8080", "/")).status).toBe(200);
  });

  scenario("a star stands at one end of a pattern of principals, and nowhere else", async () => {
    const through = async () => {
      const proxy = ["--silent", "--proxytunnel", "-x", `http://${CLIENT}:15001`];
      const { stderr } = await runCurl([
        ...proxy,
        "--write-out",
        "%{stderr}%{http_connect}",
        "http://bytes:8080/",
      ]);
      return stderr;
    };
    expect(await through()).toBe("200");
    const patterns = ["*/ns/foo/*", "*/ns/shop/*", "*/ns/sho", "cluster.local/ns/*/sa/client"];
    mesh.write("bytes.yaml", bytesFrom(patterns));
    await until("nobody is let in", async () => (await through()) === "403");
  });
});

describe("pathNormalization", () => {
  const SETTINGS = [["NONE", "/public//x", "/public//x"], [
    "BASE",
    "/public/./y//x",
    "/public/y//x",
  ]] as const;
  const DECODED = ["DECODE_AND_MERGE_SLASHES", "/public%2Fx//y", "/public/x/y"] as const;

  scenario(
    "no form of a path gets past a policy in any setting, and one form reaches the program",
    async () => {
      for (const [normalization, path, arrives] of [...SETTINGS, DECODED]) {
        mesh.write(
          "mesh.yaml",
          meshConfig(`{ pathNormalization: { normalization: ${normalization} } }`),
        );
        const target = ["--path-as-is", "-H", "Host: web:8080", `http://${CLIENT}:15001${path}`];
        await until(`${normalization} holds`, async () => {
          const { status, body } = await curl(...target);
          return status === 200 && (JSON.parse(body) as Echo).path === arrives;
        });
        const statuses = await Promise.all(REFUSED_PATHS.map((refused) => statusOf(HTTP1, refused)));
        const passed = REFUSED_PATHS.filter((_, index) => ![400, 403].includes(statuses[index] as number));
        expect([normalization, passed]).toEqual([normalization, []]);
      }
      mesh.write("mesh.yaml", "");
      await until("the default holds", async () => await statusOf(HTTP1, "/public%2Fx") === 400);
    },
  );
});

describe("an edit", () => {
  scenario("is counted, and holds for connections that stand", async () => {
    expect(
      total(await scrape(WEB), "bowline_policy_decisions_total", { policy: "shop/no-admin", action: "deny" }),
    )
      .toBeGreaterThan(0);
    expect(await statusOf(HTTP1, "/public")).toBe(200);
    mesh.write("stop.yaml", authorizationPolicy("stop", "{ action: DENY, rules: [{}] }"));
    await until("everything is refused", async () => (await statusOf(HTTP1, "/public")) === 403);
  });
});
