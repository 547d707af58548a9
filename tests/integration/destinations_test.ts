/** What DestinationRules, ServiceEntries and the MeshConfig make of calls: one client's sidecar, workloads without any. */
import { beforeAll, describe, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { TestAuthority, type TlsLeaf } from "../unit/identity/odd_certificates.ts";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { type CurlAnswer, viaSidecar } from "./clients.ts";
import { DnsServer } from "./dns_server.ts";
import { Mesh } from "./mesh.ts";
import { meshConfig, service, trafficPolicy, workload } from "./resources.ts";

const mesh = new Mesh("127.0.38");
const CLIENT = mesh.address(10);
const NAME_SERVER = mesh.address(53);
const TTL_SECONDS = 1;
const dns = new DnsServer(TTL_SECONDS);
/** Programs that answer 503 for now. */
const failing = new Set<string>();
/** Requests to the slow program that wait for their answer. */
const held: ServerResponse[] = [];

endEverythingAfterwards();

/** An external host, called as HTTP on port 80. */
function external(host: string, rest: string, targetPort = 80): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replaceAll("*", "any")}, namespace: shop }
spec:
  hosts: ["${host}"]
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${targetPort} }]
  ${rest}
`;
}

function outsider(name: string, app: string, last: number, locality = ""): string {
  const place = locality === "" ? "" : `  locality: ${locality}\n`;
  return workload(name, mesh.address(last), { app, serviceAccount: null }).trimEnd() + `\n${place}`;
}

function at(name: string): string {
  return join(mesh.directory, "tls", name);
}

function save(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}

async function startHttps(last: number, leaf: TlsLeaf): Promise<void> {
  const server = createHttps({ key: leaf.key, cert: leaf.chain }, (request, response) => {
    response.end(JSON.stringify({ app: "https", headers: request.headers }));
  });
  afterwards(() => server.close());
  await new Promise<void>((resolve) => server.listen(8443, mesh.address(last), resolve));
}

/** nginx that asks every client for a certificate. */
async function startMutualNginx(last: number, authority: TestAuthority, leaf: TlsLeaf): Promise<void> {
  const address = `${mesh.address(last)}:8443`;
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${at(`nginx-${name}`)};`).join("\n");
  const config = `daemon off; master_process off; pid ${at("nginx.pid")}; error_log stderr;
events {}
http {
  access_log off;
${paths}
  server {
    listen ${address} ssl;
    ssl_certificate ${save("server.pem", leaf.chain)};
    ssl_certificate_key ${save("server.key", leaf.key)};
    ssl_client_certificate ${save("clients.pem", authority.roots)};
    ssl_verify_client on;
    location / { return 200 '{"app": "nginx $ssl_client_verify $ssl_protocol $ssl_server_name"}'; }
  }
}
`;
  const nginx = Bun.spawn(["nginx", "-e", "stderr", "-c", save("nginx.conf", config)], { stderr: "ignore" });
  afterwards(() => nginx.kill());
  await until("nginx listens", async () => {
    try {
      await fetch(`https://${address}`, { tls: { rejectUnauthorized: false } });
      return true;
    } catch {
      return false;
    }
  });
}

const FAILS = (app: string) => (_: IncomingMessage, response: ServerResponse) => {
  if (!failing.has(app)) return false;
  response.writeHead(503).end();
  return true;
};

const authority = await TestAuthority.make();
const stranger = await TestAuthority.make("CN=stranger");
const named = (name: string) => ({ names: [{ type: "dns" as const, value: name }] });

function tls(host: string, last: number, settings: string): string[] {
  const fixed = `resolution: STATIC\n  endpoints: [{ address: ${mesh.address(last)} }]`;
  return [external(host, fixed, 8443), trafficPolicy(host, `{ tls: { ${settings} } }`)];
}

let client: Bowline;

beforeAll(async () => {
  mkdirSync(at(""));
  const roots = save("roots.pem", authority.roots);
  const own = await authority.issue({});
  const certificate = `clientCertificate: ${save("client.pem", own.chain)}, ` +
    `privateKey: ${save("client.key", own.key)}, caCertificates: ${roots}`;
  save("other.key", (await authority.issue({})).key);
  const secure = await authority.issue(named("secure.test"));
  await startHttps(31, secure);
  await startHttps(32, await stranger.issue(named("forged.test")));
  await startMutualNginx(33, authority, await authority.issue(named("mutual.test")));
  mesh.write(
    "mesh.yaml",
    meshConfig("{ outboundTrafficPolicy: { mode: REGISTRY_ONLY } }"),
  );
  mesh.write(
    "services.yaml",
    ...["breaker", "slow", "sticky", "zoned"].map((name) => service(name)),
    workload("client", CLIENT).trimEnd() + "\n  locality: eu/one\n",
    outsider("breaker-a", "breaker", 21),
    outsider("breaker-b", "breaker", 22),
    outsider("slow", "slow", 23),
    ...[24, 25, 26].map((last) => outsider(`sticky-${last}`, "sticky", last)),
    outsider("zoned-eu", "zoned", 27, "eu/one"),
    outsider("zoned-us", "zoned", 28, "us/two"),
  );
  const ejection = "{ consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100 }";
  mesh.write(
    "rules.yaml",
    trafficPolicy("breaker", `{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: ${ejection} }`),
    trafficPolicy(
      "slow",
      "{ connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } }",
    ),
    trafficPolicy("sticky", "{ loadBalancer: { consistentHash: { httpCookie: { name: seat, ttl: 60s } } } }"),
    trafficPolicy("zoned", `{ outlierDetection: ${ejection} }`),
  );
  mesh.write(
    "outside.yaml",
    ...tls("secure.test", 31, `mode: SIMPLE, caCertificates: ${roots}`),
    ...tls("forged.test", 32, `mode: SIMPLE, caCertificates: ${roots}`),
    ...tls("misnamed.test", 31, `mode: SIMPLE, caCertificates: ${roots}`),
    ...tls("unverified.test", 32, "mode: SIMPLE, insecureSkipVerify: true"),
    ...tls("mutual.test", 33, `mode: MUTUAL, ${certificate}`),
    ...tls("mismatched.test", 33, `mode: MUTUAL, ${certificate.replace("client.key", "other.key")}`),
    external("moving.test", "resolution: DNS", 8080),
    external("nowhere.test", "resolution: DNS", 8080),
    external("*.wild.test", "resolution: DYNAMIC_DNS", 8080),
  );
  dns.records.set("moving.test", [mesh.address(41)]);
  dns.records.set("a.wild.test", [mesh.address(42)]);
  // It is there, without an address.
  dns.records.set("nowhere.test", []);
  await dns.start(NAME_SERVER);
  await Promise.all([
    startEcho("a", mesh.address(21), FAILS("a")),
    startEcho("b", mesh.address(22), FAILS("b")),
    startEcho("slow", mesh.address(23), (_, response) => held.push(response) > 0),
    ...[24, 25, 26].map((last) => startEcho(String(last), mesh.address(last))),
    startEcho("eu", mesh.address(27), FAILS("eu")),
    startEcho("us", mesh.address(28)),
    startEcho("first", mesh.address(41)),
    startEcho("second", mesh.address(42)),
  ]);
  await mesh.startControlPlane();
  const resolvConf = join(mesh.directory, "resolv.conf");
  writeFileSync(resolvConf, `nameserver ${NAME_SERVER}\noptions timeout:1 attempts:1\n`);
  // In a mount namespace of its own, for which it needs root.
  const mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  client = await mesh.startSidecar("shop/client", {
    at: 10,
    within: ["unshare", "--mount", "sh", "-c", mount, resolvConf],
  });
  await mesh.untilSynced(1);
});

const call = (host: string, ...args: string[]) => viaSidecar(CLIENT, host, "/", ...args);

/** Who answered; the status when nobody did well. */
function who({ status, body }: CurlAnswer): string {
  return status === 200 ? (JSON.parse(body) as Echo).app : String(status);
}

/** Who answered, one request after the other. */
async function answers(host: string, count: number): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < count; i++) all.push(who(await call(host)));
  return all;
}

describe("outlier detection", () => {
  scenario("an endpoint that fails is ejected, and comes back when its time is over", async () => {
    expect(new Set(await answers("breaker", 6))).toEqual(new Set(["a", "b"]));
    failing.add("b");
    await until("b was met", async () => (await answers("breaker", 1))[0] === "503");
    expect(new Set(await answers("breaker", 20))).toEqual(new Set(["a"]));
    failing.delete("b");
    await until("b is back", async () => (await answers("breaker", 1))[0] === "b");
  });

  scenario("traffic fails over to another region, and comes home", async () => {
    expect(new Set(await answers("zoned", 10))).toEqual(new Set(["eu"]));
    failing.add("eu");
    expect((await answers("zoned", 1))[0]).toBe("503");
    expect(new Set(await answers("zoned", 10))).toEqual(new Set(["us"]));
    failing.delete("eu");
    await until("eu is back", async () => (await answers("zoned", 1))[0] === "eu");
  });
});

scenario("more requests than may wait are refused at once as overflow", async () => {
  const calls = Array.from({ length: 6 }, () => call("slow"));
  const refused: CurlAnswer[] = [];
  for (const one of calls) void one.then((answer) => answer.status === 503 && refused.push(answer));
  await until("four are refused", () => refused.length === 4);
  expect(refused.map(({ headers }) => headers["x-envoy-overloaded"]?.[0])).toEqual(Array(4).fill("true"));
  expect(refused[0]?.headers["x-bowline-reply"]?.[0]).toStartWith("UO overflow");
  await until("the first arrived", () => held.length === 1);
  held[0]?.end("{}");
  await until("the second arrived", () => held.length === 2);
  held[1]?.end("{}");
  const statuses = (await Promise.all(calls)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(2);
});

scenario("a cookie brings its client back to the same endpoint, and is made for who has none", async () => {
  const seats = new Map<string, string>();
  for (let i = 0; i < 12; i++) {
    const first = await call("sticky");
    const cookie = /^seat="([0-9a-f]+)"; Max-Age=60; HttpOnly$/.exec(first.headers["set-cookie"]?.[0] ?? "")
      ?.[1];
    expect(cookie).toBeDefined();
    seats.set(cookie as string, who(first));
  }
  expect(new Set(seats.values()).size).toBeGreaterThan(1);
  for (const [seat, app] of seats) {
    const again = await call("sticky", "-H", `Cookie: seat=${seat}`);
    expect([who(again), again.headers["set-cookie"]]).toEqual([app, undefined]);
  }
});

describe("TLS to servers outside the mesh", () => {
  scenario("plain requests go out encrypted to a server that is who it should be", async () => {
    expect(who(await call("secure.test"))).toBe("https");
    expect(who(await call("unverified.test"))).toBe("https");
  });

  scenario("a certificate of another authority, or for another name, is refused", async () => {
    for (const host of ["forged.test", "misnamed.test"]) {
      const { status, headers } = await call(host);
      expect([status, headers["x-bowline-reply"]?.[0]?.split(" ")[0]]).toEqual([503, "UF,URX"]);
    }
  });

  scenario("MUTUAL shows nginx the certificate on the disk", async () => {
    expect((await answers("mutual.test", 1))[0]).toMatch(/^nginx SUCCESS TLSv1\.[23] mutual\.test$/);
  });
});

describe("MUTUAL with a key that is not the certificate's", () => {
  scenario("is answered 503 UF, and the log says why", async () => {
    expect((await call("mismatched.test")).status).toBe(503);
    await client.says("the key is not that of the certificate");
  });
});

describe("names", () => {
  scenario("a name that moves takes its calls along once its answer has run out", async () => {
    expect(await answers("moving.test", 2)).toEqual(["first", "first"]);
    dns.records.set("moving.test", [mesh.address(42)]);
    await until("the calls move", async () => (await answers("moving.test", 1))[0] === "second");
    dns.records.delete("moving.test");
    const asked = () => dns.asked.get("moving.test") ?? 0;
    const before = asked();
    // The second time it has taken the first answer, that there is no such name, in: the last good one goes on.
    await until("the name is looked up again, and once more", async () => {
      expect(await answers("moving.test", 1)).toEqual(["second"]);
      return asked() >= before + 2;
    });
    expect(await answers("moving.test", 2)).toEqual(["second", "second"]);
  });

  scenario("a name without an address is a failure of DNS, until it has one", async () => {
    const { status, headers } = await call("nowhere.test");
    expect([status, headers["x-bowline-reply"]?.[0]]).toEqual([
      503,
      "DF dns_resolution_failure; outbound shop/client",
    ]);
    dns.records.set("nowhere.test", [mesh.address(41)]);
    await until("it is found", async () => (await answers("nowhere.test", 1))[0] === "first");
  });
});

describe("an edit with a name about which the name server is silent", () => {
  scenario("serves without it, and who calls by the name waits for the answer", async () => {
    for (const name of ["late.test", "never.test"]) {
      dns.silent.add(name);
      dns.records.set(name, [mesh.address(41)]);
    }
    dns.records.set("prompt.test", [mesh.address(42)]);
    const names = ["late.test", "never.test", "prompt.test"];
    mesh.write("late.yaml", ...names.map((name) => external(name, "resolution: DNS", 8080)));
    await until("the edit serves", async () => (await answers("prompt.test", 1))[0] === "second");
    const late = call("late.test");
    const never = call("never.test");
    dns.silent.delete("late.test");
    expect(who(await late)).toBe("first");
    expect((await never).headers["x-bowline-reply"]?.[0]).toStartWith("DF ");
  });
});

describe("REGISTRY_ONLY", () => {
  scenario("only declared hosts are reached, a wildcard's among them", async () => {
    expect((await call("example.org")).status).toBe(502);
    expect(who(await call("a.wild.test"))).toBe("second");
    expect((await call("wild.test")).status).toBe(502);
  });
});
