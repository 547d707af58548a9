import { describe, expect, test } from "bun:test";
import { formatAge } from "../../../src/cli/proxy_status_command.ts";
import type { Graph, GraphEdge } from "../../../src/mixer/graph.ts";
import type { ProxyStatus } from "../../../src/pilot/discovery/discovery_session.ts";
import type { HttpHandler } from "../../../src/runtime/http_server.ts";
import { golden } from "../../golden.ts";
import { withAdminServer } from "./admin_server.ts";
import { bowline } from "./bowline.ts";

/** Runs a command against a control plane that answers `GET PATH` with a body. */
function against(path: string, body: unknown, ...args: string[]) {
  const handler: HttpHandler = (request) =>
    new URL(request.url).pathname === path && request.method === "GET"
      ? Response.json(body)
      : Response.json({}, { status: 404 });
  return withAdminServer(handler, (data) => bowline([...args, "--data", data]));
}

const EDGE: GraphEdge = {
  source: "tutorial/customer",
  destination: "tutorial/preference",
  service: "preference.tutorial.svc.cluster.local",
  protocol: "http",
  requests: 12_345,
  errors: 1,
  successRate: 0.9999,
  requestsPerSecond: 20.5,
  latencyMs: { p50: 1.234, p90: 9.96, p99: 250.4 },
  mtls: true,
  receivedBytes: 0,
  sentBytes: 1_234_500,
  responses: { 200: 12_344, 503: 1 },
};

const GRAPH: Graph = {
  generatedAt: "2026-01-01T00:00:00.000Z",
  nodes: [],
  edges: [EDGE, {
    ...EDGE,
    destination: "unknown",
    service: "PassthroughCluster",
    requests: 2,
    successRate: 0,
    requestsPerSecond: 0,
    latencyMs: { p50: null, p90: null, p99: null },
    mtls: false,
  }, {
    ...EDGE,
    protocol: "tcp",
    destination: "tutorial/database",
    service: "database.tutorial.svc.cluster.local",
    requests: 7,
    requestsPerSecond: 0.12,
    latencyMs: { p50: null, p90: null, p99: null },
    receivedBytes: 1023,
    sentBytes: 5.5 * 2 ** 30,
    responses: {},
  }],
};

describe("runGraph()", () => {
  test("prints a table", async () => {
    const { exitCode, stdout, stderr } = await against("/api/graph", GRAPH, "graph");
    expect([exitCode, stderr]).toEqual([0, ""]);
    golden("cli/graph.txt", stdout);
  });

  test("prints as JSON what the API answers", async () => {
    const { stdout } = await against("/api/graph", GRAPH, "graph", "-o", "json");
    expect(JSON.parse(stdout)).toEqual(GRAPH);
  });

  test("says what to do when there are no calls", async () => {
    const empty = { ...GRAPH, edges: [] };
    const { exitCode, stdout, stderr } = await against("/api/graph", empty, "graph");
    expect([exitCode, stdout]).toEqual([0, ""]);
    golden("cli/graph_empty.txt", stderr);
    expect(JSON.parse((await against("/api/graph", empty, "graph", "-o", "json")).stdout)).toEqual(empty);
  });
});

describe("runProxyStatus()", () => {
  const synced: ProxyStatus = {
    workload: "tutorial/customer",
    role: "sidecar",
    version: "0.1.0",
    address: "127.0.0.11",
    // In the future of any test run: the age does not depend on the clock.
    connectedAtMs: 8_000_000_000_000,
    state: "synced",
    health: null,
    shutPorts: [],
    reason: null,
    snapshotVersion: "abc",
    ackedAtMs: 8_000_000_000_001,
    counts: { virtualHosts: 3, clusters: 5, endpoints: 6 },
  };
  const nacked: ProxyStatus = {
    ...synced,
    workload: "tutorial/preference",
    state: "nacked",
    reason: "cannot compile\u001b[31m",
    counts: null,
  };
  const gateway: ProxyStatus = {
    ...synced,
    workload: "tutorial/edge",
    role: "gateway",
    shutPorts: [{ port: 443, reason: "Cannot listen on 0.0.0.0:443: another process already does" }],
  };

  test("prints a table, which ports are shut, and why pushes were refused", async () => {
    const body = { proxies: [synced, nacked, gateway] };
    const { exitCode, stdout, stderr } = await against("/api/proxies", body, "proxy-status");
    expect(exitCode).toBe(0);
    golden("cli/proxy_status.txt", stdout);
    expect(stderr).toBe(
      "tutorial/preference refused its last push: cannot compile\ufffd[31m\n" +
        "tutorial/edge has its port 443 shut: Cannot listen on 0.0.0.0:443: another process already does\n",
    );
  });

  test("prints as JSON what the API answers", async () => {
    const body = { proxies: [synced, nacked, gateway] };
    const { stdout, stderr } = await against("/api/proxies", body, "proxy-status", "-o", "json");
    expect(JSON.parse(stdout)).toEqual(body);
    expect(stderr).toBe("");
  });

  test("says what to do when no proxy is connected", async () => {
    const { exitCode, stdout, stderr } = await against("/api/proxies", { proxies: [] }, "proxy-status");
    expect([exitCode, stdout]).toEqual([0, ""]);
    golden("cli/proxy_status_empty.txt", stderr);
  });
});

test("formatAge() gives the two largest units, rounded down", () => {
  const second = 1_000;
  const ages: [ms: number, text: string][] = [
    [-1, "0s"],
    [0, "0s"],
    [59_999, "59s"],
    [60 * second, "1m0s"],
    [3_599 * second, "59m59s"],
    [3_600 * second, "1h0m"],
    [86_399 * second, "23h59m"],
    [86_400 * second, "1d0h"],
    [(86_400 + 7_199) * second, "1d1h"],
  ];
  for (const [ms, text] of ages) expect(formatAge(ms)).toBe(text);
});

describe("runTokenCreate()", () => {
  const reply = {
    token: "aaa.bbb.ccc",
    workload: "tutorial/customer",
    spiffeId: "spiffe://cluster.local/ns/tutorial/sa/customer",
    controlPlane: "10.0.0.1:15012",
    expiresAt: "2026-01-01T00:15:00.000Z",
  };

  /** The result, and the body of the request that the control plane got. */
  async function create(...args: string[]) {
    const asked: unknown[] = [];
    const handler: HttpHandler = async (request) => {
      asked.push([request.method, new URL(request.url).pathname, await request.json()]);
      return Response.json(reply);
    };
    const result = await withAdminServer(
      handler,
      (data) => bowline(["token", "create", ...args, "--data", data]),
    );
    return { ...result, asked };
  }

  test("prints the token alone, and what it is for on standard error", async () => {
    expect(await create("--workload", "tutorial/customer")).toEqual({
      exitCode: 0,
      stdout: "aaa.bbb.ccc\n",
      stderr: "Join token for tutorial/customer (spiffe://cluster.local/ns/tutorial/sa/customer) at " +
        "10.0.0.1:15012; works once, until 2026-01-01T00:15:00.000Z\n",
      asked: [["POST", "/v1/tokens", { workload: "tutorial/customer", ttlMs: 900_000 }]],
    });
  });

  test.each([["1s", 1_000], ["24h", 86_400_000]])("asks for a life of %s", async (ttl, ttlMs) => {
    const { asked } = await create("--workload", "a/b", "--ttl", ttl);
    expect(asked).toEqual([["POST", "/v1/tokens", { workload: "a/b", ttlMs }]]);
  });

  test("prints as JSON what the API answers", async () => {
    const { stdout, stderr, asked } = await create("--workload", "a/b", "--ttl", "1h30m", "-o", "json");
    expect(JSON.parse(stdout)).toEqual(reply);
    expect(stderr).toBe("");
    expect(asked).toEqual([["POST", "/v1/tokens", { workload: "a/b", ttlMs: 5_400_000 }]]);
  });

  test.each([
    [["--workload", "customer"], "NAMESPACE/NAME"],
    [["--workload", "Tutorial/customer"], "NAMESPACE/NAME"],
    [["--workload", "tutorial/customer", "--ttl", "15"], '"15" is not a duration'],
    [["--workload", "shop/a", "--ttl", "24h1s"], "A join token lives 1s to 24h, not 24h1s"],
    [["--workload", "shop/a", "--ttl", "999ms"], "A join token lives 1s to 24h, not 999ms"],
    [[], "a token needs either --workload or --group"],
    [["--workload", "shop/a", "--group", "shop/b"], "a token needs either --workload or --group"],
    [["--workload", "shop/a", "--source", "10.0.0.0/33"], '"10.0.0.0/33" is no network'],
    [["--group", "shop"], 'The group must be NAMESPACE/NAME in lower case, not "shop"'],
  ])("refuses %j with 64 and asks nobody", async (args, message) => {
    const { exitCode, stdout, stderr, asked } = await create(...args);
    expect([exitCode, stdout, asked]).toEqual([64, "", []]);
    expect(stderr.toLowerCase()).toContain(message.toLowerCase());
  });

  test("binds the token to networks", async () => {
    const { asked } = await create("--workload", "a/b", "--source", "10.0.0.0/8", "--source", "fd00::7");
    const body = { workload: "a/b", ttlMs: 900_000, source: ["10.0.0.0/8", "fd00::7"] };
    expect(asked).toEqual([["POST", "/v1/tokens", body]]);
  });

  test("is unavailable without a control plane", async () => {
    const result = await withAdminServer(
      null,
      (data) => bowline(["token", "create", "--workload", "a/b", "--data", data]),
    );
    expect([result.exitCode, result.stdout]).toEqual([69, ""]);
    expect(result.stderr).toContain("is the control plane running with --data");
  });
});

describe("runTokenList()", () => {
  const token = {
    id: "4f8a0c5be1d2",
    workload: "shop/cart",
    spiffeId: "spiffe://mesh.test/ns/shop/sa/cart",
    source: ["10.0.0.0/8", "fd00::7"],
    expiresAt: "2026-01-01T00:15:00.000Z",
  };
  const body = {
    tokens: [token, { ...token, id: "0a1b2c3d4e5f", workload: "shop/a-7kx2", group: "shop/a", source: [] }],
  };

  test("prints a table, or as JSON what the API answers", async () => {
    const { exitCode, stdout, stderr } = await against("/v1/tokens", body, "token", "list");
    expect([exitCode, stderr]).toEqual([0, ""]);
    golden("cli/token_list.txt", stdout);
    const json = await against("/v1/tokens", body, "token", "list", "-o", "json");
    expect(JSON.parse(json.stdout)).toEqual(body);
  });

  test("says so when none is out", async () => {
    const { exitCode, stdout, stderr } = await against("/v1/tokens", { tokens: [] }, "token", "list");
    expect([exitCode, stdout]).toEqual([0, ""]);
    expect(stderr).toStartWith("No join token is out; ");
  });
});

describe("runTokenRevoke()", () => {
  test("names the token to the control plane, and says what it did", async () => {
    const asked: unknown[] = [];
    const handler: HttpHandler = async (request) => {
      asked.push([request.method, new URL(request.url).pathname, await request.json()]);
      return Response.json({});
    };
    const args = ["token", "revoke", "4f8a0c5be1d2"];
    const result = await withAdminServer(handler, (data) => bowline([...args, "--data", data]));
    expect(result).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "Revoked the join token 4f8a0c5be1d2; nobody can join with it any more\n",
    });
    expect(asked).toEqual([["POST", "/v1/tokens/revoke", { id: "4f8a0c5be1d2" }]]);
  });
});

describe("bowline ca rotate", () => {
  const root = { pin: `sha256:${"4f".repeat(32)}`, signs: true, notAfter: "2036-11-27T08:00:00.000Z" };
  const old = { pin: `sha256:${"0a".repeat(32)}`, signs: false, notAfter: "2027-01-15T08:00:00.000Z" };
  const at = { phase: "renewing", roots: [root, old], connected: 3, lacking: [], unrenewed: [] };

  test("status says where a rollover stands, who is waited for, and what is next", async () => {
    const workloads = Array.from({ length: 12 }, (_, i) => `shop/cart-${i + 1}`);
    const states = [
      { ...at, phase: null, roots: [root] },
      { ...at, phase: "distributing", lacking: ["shop/cart-1"] },
      { ...at, unrenewed: workloads },
      at,
      { ...at, phase: "withdrawing", unrenewed: ["shop/cart-1"] },
    ];
    const texts: string[] = [];
    for (const body of states) {
      const { exitCode, stdout, stderr } = await against("/v1/rollover", body, "ca", "rotate", "status");
      expect([exitCode, stderr]).toEqual([0, ""]);
      texts.push(stdout);
    }
    golden("cli/ca_rotate.txt", texts.join("----------\n"));
  });

  test("finish --force asks for it in so many words, and prints where it stands as JSON", async () => {
    const asked: unknown[] = [];
    const handler: HttpHandler = async (request) => {
      asked.push([request.method, new URL(request.url).pathname, await request.json()]);
      return Response.json(at);
    };
    const args = ["ca", "rotate", "finish", "--force", "-o", "json"];
    const { stdout } = await withAdminServer(handler, (data) => bowline([...args, "--data", data]));
    expect(asked).toEqual([["POST", "/v1/rollover", { step: "finish", force: true }]]);
    expect(JSON.parse(stdout)).toEqual(at);
  });
});

describe("bowline certs", () => {
  const leaf = {
    kind: "leaf",
    identity: "spiffe://mesh.test/ns/shop/sa/cart",
    workload: "shop/cart-v1",
    serial: "4a5b",
    notAfter: "2020-01-15T08:00:00.000Z",
    state: "expired",
  };
  const root = { ...leaf, kind: "root", identity: "CN=bowline root 7f", workload: null, serial: "7f" };
  const body = { certificates: [root, leaf] };

  test("prints a table with the CA's own certificates first", async () => {
    const { exitCode, stdout, stderr } = await against("/v1/certificates", body, "certs");
    expect([exitCode, stderr]).toEqual([0, ""]);
    golden("cli/certs.txt", stdout);
  });

  test("prints as JSON what the API answers", async () => {
    const { stdout } = await against("/v1/certificates", body, "certs", "-o", "json");
    expect(JSON.parse(stdout)).toEqual(body);
  });
});

describe("bowline cert revoke", () => {
  test("prints the serial numbers, and sends what it was given", async () => {
    const certificate = {
      serial: "4a5b",
      identity: "spiffe://mesh.test/ns/shop/sa/cart",
      workload: "shop/cart",
    };
    let sent: unknown;
    const handler: HttpHandler = async (request) => {
      sent = [request.method, new URL(request.url).pathname, await request.json()];
      return Response.json({ certificates: [certificate] });
    };
    const target = "spiffe://mesh.test/ns/shop/sa/cart";
    const run = (data: string) => bowline(["cert", "revoke", target, "--data", data]);
    const { exitCode, stdout, stderr } = await withAdminServer(handler, run);
    expect([exitCode, stdout]).toEqual([0, "4a5b\n"]);
    expect(stderr).toStartWith("Revoked 4a5b of shop/cart (spiffe://mesh.test/ns/shop/sa/cart)\n");
    expect(sent).toEqual(["POST", "/v1/revocations", { target }]);
  });
});
