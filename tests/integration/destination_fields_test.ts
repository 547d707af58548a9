/** Fields of a DestinationRule at a sidecar, towards servers outside the mesh: who is chosen, who is ejected, and how connections end. */
import { beforeAll, describe, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2Server, type Http2ServerResponse } from "node:http2";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, replaceFile } from "./certificates.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { workload } from "./resources.ts";

const mesh = new Mesh("127.0.77");
const CLIENT = mesh.address(10);
const A = mesh.address(21);
const B = mesh.address(22);
const C = mesh.address(23);
const NOBODY = mesh.address(29);
/** Requests that a server answers when all of them are there. */
const AT_ONCE = 12;
const PORT = { echo: 8080, connections: 8081, http2: 8082, tls: 8443 };

const authority = new OutsideAuthority(mesh.directory, "authority");
const file = (name: string) => join(mesh.directory, name);
const leaf = authority.issue("DNS:secure.test");

endEverythingAfterwards();

interface Place {
  readonly address: string;
  readonly locality?: string;
  readonly labels?: string;
}

/** A host outside, with the DestinationRule that a test is about. */
function host(
  name: string,
  policy: string,
  places: readonly Place[],
  targetPort: number = PORT.echo,
): string {
  const endpoints = places.map(({ address, locality = "west/1", labels = "{}" }) =>
    `{ address: ${address}, locality: ${locality}, labels: ${labels} }`
  );
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.test]
  ports:
  - { number: 80, name: http, protocol: HTTP, targetPort: ${targetPort} }
  - { number: 81, name: http-more, protocol: HTTP, targetPort: ${targetPort} }
  resolution: STATIC
  endpoints: [${endpoints.join(", ")}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: shop }
spec:
  host: ${name}.test
  trafficPolicy: ${policy}
`;
}

function rule(name: string, http: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.test]
  http: [{ route: [{ destination: { host: ${name}.test, port: { number: 80 } } }], ${http} }]
`;
}

const BOTH = [{ address: A }, { address: B }];
const APART = [{ address: A, locality: "west/1", labels: "{ tier: gold }" }, {
  address: B,
  locality: "east/1",
  labels: "{ tier: silver }",
}];
const QUICK = "interval: 100ms, baseEjectionTime: 600s, maxEjectionPercent: 50";
const ONE_TRY = "retries: { attempts: 0 }";

function hosts(members: Readonly<Record<string, readonly Place[]>> = {}): string[] {
  const of = (name: string, policy: string, places: readonly Place[] = BOTH, port?: number) =>
    host(name, policy, members[name] ?? places, port);
  const balanced = (name: string, balancer: string, places?: readonly Place[]) =>
    of(name, `{ loadBalancer: { ${balancer} } }`, places);
  const ejecting = (name: string, outlier: string, places?: readonly Place[]) =>
    of(name, `{ outlierDetection: { ${outlier}, ${QUICK} }, loadBalancer: { simple: ROUND_ROBIN } }`, places);
  return [
    balanced("header", "consistentHash: { httpHeaderName: x-user, maglev: { tableSize: 101 } }"),
    balanced("query", "consistentHash: { httpQueryParameterName: user, ringHash: { minimumRingSize: 256 } }"),
    balanced("address", "consistentHash: { useSourceIp: true }"),
    balanced("random", "simple: RANDOM"),
    balanced(
      "distribute",
      'localityLbSetting: { distribute: [{ from: "west/*", to: { "east/1": 100 } }] }',
      APART,
    ),
    of(
      "over",
      "{ outlierDetection: { consecutive5xxErrors: 1, interval: 100ms, maxEjectionPercent: 100 }, " +
        "loadBalancer: { localityLbSetting: { failover: [{ from: west, to: north }] } } }",
      [{ address: NOBODY }, { address: A, locality: "east/1" }, { address: B, locality: "north/1" }],
    ),
    of(
      "anywhere",
      "{ outlierDetection: {}, loadBalancer: { localityLbSetting: { enabled: false } } }",
      APART,
    ),
    of(
      "priority",
      "{ outlierDetection: {}, loadBalancer: { localityLbSetting: { failoverPriority: [tier=silver] } } }",
      APART,
    ),
    balanced("warm", "simple: ROUND_ROBIN, warmup: { duration: 600s, minimumPercent: 10, aggression: 1 }"),
    of(
      "ports",
      "{ loadBalancer: { simple: ROUND_ROBIN }, portLevelSettings: [{ port: { number: 81 }, " +
        "loadBalancer: { consistentHash: { httpHeaderName: x-user } } }] }",
    ),
    of(
      "once",
      "{ connectionPool: { http: { maxRequestsPerConnection: 1 } } }",
      [{ address: C }],
      PORT.connections,
    ),
    of("idle", "{ connectionPool: { http: { idleTimeout: 200ms } } }", [{ address: C }], PORT.connections),
    of(
      "short",
      "{ connectionPool: { tcp: { maxConnectionDuration: 200ms } } }",
      [{ address: C }],
      PORT.connections,
    ),
    of(
      "upgrade",
      "{ connectionPool: { http: { h2UpgradePolicy: UPGRADE, http2KeepAlive: { interval: 200ms, timeout: 5s } } } }",
      [{ address: C }],
      PORT.http2,
    ),
    of(
      "streams",
      "{ connectionPool: { http: { h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 1 } } }",
      [{ address: C }],
      PORT.http2,
    ),
    ejecting("codes", "consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429]"),
    ejecting("gateway", "consecutive5xxErrors: 0, consecutiveGatewayErrors: 2"),
    ejecting(
      "local",
      "consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 1",
      [
        { address: A },
        { address: NOBODY },
      ],
    ),
    ejecting("healthy", "consecutive5xxErrors: 2, minHealthPercent: 100"),
    rule("codes", ONE_TRY),
    rule("gateway", ONE_TRY),
    rule("local", ONE_TRY),
    rule("healthy", ONE_TRY),
    of("retries", "{ connectionPool: { http: { maxRetries: 1 } } }", [{ address: C }], PORT.connections),
    of(
      "budget",
      "{ retryBudget: { percent: 0, minRetryConcurrency: 1 } }",
      [{ address: C }],
      PORT.connections,
    ),
    rule("retries", 'retries: { attempts: 3, retryOn: "503" }'),
    rule("budget", 'retries: { attempts: 3, retryOn: "503" }'),
    of(
      "secure",
      `{ tls: { mode: SIMPLE, caCertificates: ${authority.rootFile}, caCrl: ${file("authority.crl")} } }`,
      [{ address: C }],
      PORT.tls,
    ),
    of(
      "credential",
      "{ tls: { mode: MUTUAL, credentialName: outside, sni: secure.test } }",
      [{ address: C }],
      PORT.tls,
    ),
  ];
}

function write(members?: Readonly<Record<string, readonly Place[]>>): void {
  mesh.write("mesh.yaml", workload("client", CLIENT) + "  locality: west/1\n", ...hosts(members));
}

/** What the server with the connections saw. */
const seen = { connections: 0, closed: 0, requests: 0, pings: 0, names: [] as (string | undefined)[] };

/** Who answered how many of so many calls; the statuses of those who did not say. */
async function who(
  host: string,
  calls: number,
  path = "/",
  ...args: readonly string[]
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls; i++) {
    const { status, body } = await viaSidecar(CLIENT, host, path, ...args);
    const name = status === 200 ? (JSON.parse(body) as Echo).app : String(status);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

beforeAll(async () => {
  /** `b` answers what the path says. */
  await startEcho("a", A);
  await startEcho("b", B, (request, response) => {
    const [, status] = /^\/(\d{3})$/.exec(request.url ?? "") ?? [];
    if (status === undefined) return false;
    response.statusCode = Number(status);
    response.end();
    return true;
  });
  await startEcho("c", C);
  const counting = createServer((request, response) => {
    seen.requests++;
    response.statusCode = request.url === "/503" ? 503 : 200;
    if (request.url === "/503") setTimeout(() => response.end(), 100);
    else response.end("fine");
  }).on("connection", (socket) => {
    seen.connections++;
    socket.on("close", () => seen.closed++);
  });
  const together: Http2ServerResponse[] = [];
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 2 } }, (request, response) => {
    if (request.url !== "/together") return response.end("spoken 2");
    together.push(response);
    if (together.length < AT_ONCE) return;
    for (const one of together.splice(0)) one.end("together");
  })
    .on("session", (session) => session.on("ping", () => seen.pings++));
  const material = { cert: leaf.chain, key: leaf.key, ca: authority.root };
  const tls = createTlsServer({ ...material, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      seen.names.push(socket.getPeerCertificate()?.subjectaltname);
      socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\nsecured");
    });
  });
  for (
    const [server, port] of [[counting, PORT.connections], [http2, PORT.http2], [tls, PORT.tls]] as const
  ) {
    afterwards(() => server.close());
    await new Promise<void>((resolve) => server.listen(port, C, () => resolve()));
  }
  writeFileSync(file("authority.crl"), authority.revoke());
  mkdirSync(file("credentials/outside"), { recursive: true });
  const client = authority.issue("DNS:client.test");
  writeFileSync(file("credentials/outside/tls.crt"), client.chain);
  writeFileSync(file("credentials/outside/tls.key"), client.key);
  writeFileSync(file("credentials/outside/ca.crt"), authority.root);
  write();
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10, credentials: file("credentials") });
  await mesh.untilSynced(1);
});

describe("who is chosen", () => {
  scenario(
    "by a header, a parameter, an address: always the same one, and not the same for all",
    async () => {
      const users = ["ann", "bob", "cyd", "dee", "eve", "fay", "gus", "hal"];
      const chosen = new Set<string>();
      for (const user of users) {
        const [header, query] = [
          await who("header.test", 4, "/", "-H", `x-user: ${user}`),
          await who("query.test", 4, `/?user=${user}`),
        ].map((counts) => Object.keys(counts));
        expect([user, header?.length, query?.length]).toEqual([user, 1, 1]);
        for (const name of [`header ${header}`, `query ${query}`]) chosen.add(name);
      }
      expect([...chosen].sort()).toEqual(["header a", "header b", "query a", "query b"]);
      expect(Object.keys(await who("address.test", 12))).toHaveLength(1);
    },
  );

  scenario("by chance", async () => {
    expect(Object.keys(await who("random.test", 40)).sort()).toEqual(["a", "b"]);
  });

  scenario("by locality: as shares say, and by labels", async () => {
    expect(await who("distribute.test", 12)).toEqual({ b: 12 });
    expect(await who("priority.test", 12)).toEqual({ b: 12 });
    expect(Object.keys(await who("anywhere.test", 40)).sort()).toEqual(["a", "b"]);
  });

  scenario("settings of a port hold there and nowhere else", async () => {
    const user = ["-H", "x-user: ann"];
    expect(Object.keys(await who("ports.test:81", 12, "/", ...user))).toHaveLength(1);
    expect(await who("ports.test", 12, "/", ...user)).toEqual({ a: 6, b: 6 });
  });

  scenario("one that is new gets less in the beginning", async () => {
    expect(Object.keys(await who("warm.test", 4)).sort()).toEqual(["a", "b"]);
    write({ warm: [...BOTH, { address: C }] });
    let counts: Record<string, number> = {};
    await until("the new one is called", async () => {
      const more = await who("warm.test", 20);
      counts = Object.fromEntries(
        ["a", "b", "c"].map((name) => [name, (counts[name] ?? 0) + (more[name] ?? 0)]),
      );
      return (counts["c"] ?? 0) > 0;
    });
    const { a = 0, b = 0, c = 0 } = await who("warm.test", 60);
    expect(c).toBeLessThan((a + b) / 4);
  });
});

describe("who is ejected", () => {
  /** Until one answers all, by calls with this path. */
  const untilAlone = (host: string, path: string) =>
    until(`one endpoint of ${host} is left`, async () => {
      await who(host, 8, path);
      return Object.keys(await who(host, 8)).length === 1;
    });

  scenario("for the statuses that are named", async () => {
    await untilAlone("codes.test", "/429");
    expect(await who("codes.test", 8)).toEqual({ a: 8 });
  });

  scenario("for 502, 503 and 504 alone, where nothing else is counted", async () => {
    await who("gateway.test", 16, "/500");
    expect(await who("gateway.test", 8)).toEqual({ a: 4, b: 4 });
    await untilAlone("gateway.test", "/502");
    expect(await who("gateway.test", 8)).toEqual({ a: 8 });
  });

  scenario("for connections that fail, counted by themselves", async () => {
    await untilAlone("local.test", "/");
    expect(await who("local.test", 8)).toEqual({ a: 8 });
  });

  scenario("and with all that are near, those of the region that is named for it are called", async () => {
    await until("who is near is ejected", async () => (await who("over.test", 4))["b"] === 4);
    expect(await who("over.test", 12)).toEqual({ b: 12 });
  });

  scenario("nobody counts as ejected where too few are left", async () => {
    await who("healthy.test", 16, "/500");
    expect(await who("healthy.test", 8)).toEqual({ a: 4, b: 4 });
  });
});

describe("connections", () => {
  const call = async (host: string, path = "/") => (await viaSidecar(CLIENT, host, path)).body;

  scenario("each has one request, where no more may be", async () => {
    const { connections } = seen;
    for (let i = 0; i < 5; i++) expect(await call("once.test")).toBe("fine");
    expect(seen.connections).toBe(connections + 5);
  });

  for (const name of ["idle", "short"]) {
    scenario(`one that is ${name === "idle" ? "not used" : "old"} is closed`, async () => {
      const { closed } = seen;
      expect(await call(`${name}.test`)).toBe("fine");
      await until("it is closed", () => seen.closed > closed);
    });
  }

  scenario("HTTP/2 where it is asked for, with PINGs while nothing is under way", async () => {
    expect(await call("upgrade.test")).toBe("spoken 2");
    const { pings } = seen;
    await until("it was asked twice", () => seen.pings > pings + 1);
    expect(await call("upgrade.test")).toBe("spoken 2");
  });

  for (const [host, why] of [["upgrade", "the server takes"], ["streams", "they may carry"]] as const) {
    scenario(`as many over HTTP/2 as the requests that ${why} ask for`, async () => {
      const answers = await Promise.all(
        Array.from({ length: AT_ONCE }, () => call(`${host}.test`, "/together")),
      );
      expect(answers).toEqual(Array<string>(AT_ONCE).fill("together"));
    });
  }

  scenario("retries at once are no more than the limit, or the budget", async () => {
    for (const host of ["retries.test", "budget.test"]) {
      const before = seen.requests;
      const answers = await Promise.all(Array.from({ length: 10 }, () => viaSidecar(CLIENT, host, "/503")));
      expect(answers.map(({ status }) => status)).toEqual(Array<number>(10).fill(503));
      // Without either there would be 40.
      expect(seen.requests - before).toBeGreaterThan(10);
      expect(seen.requests - before).toBeLessThan(25);
    }
  });
});

describe("TLS", () => {
  scenario("a server whose certificate is revoked is refused, from the next connection on", async () => {
    expect(await viaSidecar(CLIENT, "secure.test")).toMatchObject({ status: 200, body: "secured" });
    replaceFile(file("authority.crl"), authority.revoke(leaf));
    mesh.write(
      "other.yaml",
      host(
        "secure-too",
        `{ tls: { mode: SIMPLE, caCertificates: ${authority.rootFile}, sni: secure.test, caCrl: ${
          file("authority.crl")
        } } }`,
        [{ address: C }],
        PORT.tls,
      ),
    );
    await until("it is refused", async () => {
      const { status, headers } = await viaSidecar(CLIENT, "secure-too.test");
      return status === 503 && headers["x-bowline-reply"]?.[0]?.startsWith("UF") === true;
    });
    replaceFile(file("authority.crl"), authority.revoke());
    await until(
      "it is called again",
      async () => (await viaSidecar(CLIENT, "secure-too.test")).status === 200,
    );
  });

  scenario("a credential has the certificate that is shown, and whom it believes", async () => {
    expect(await viaSidecar(CLIENT, "credential.test")).toMatchObject({ status: 200, body: "secured" });
    expect(seen.names.at(-1)).toBe("DNS:client.test");
  });
});
