/** What the proxies count, what they pass on for tracing, and what the control plane makes of it. */
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { type CurlAnswer, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { NAMESPACE, service, workload } from "./resources.ts";
import { type Labels, only, scrape } from "./scrape.ts";

const OK = 20;
const FAILED = 5;
const SLOW = 4;
const SLOW_MS = 40;
const PLAIN = 3;
const UNSERVED = 2;

const mesh = new Mesh("127.0.7");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const LEDGER = mesh.address(12);

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("services.yaml", service("store"), service("ledger"), service("empty"));
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT, { version: "v3" }),
    workload("store-1", STORE, { app: "store" }),
    workload("ledger", LEDGER, { serviceAccount: null }),
  );
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/store-1", { at: 11 });
  await startEcho("store", STORE, (request, response) => {
    if (request.url === "/fails") response.statusCode = 503;
    else if (request.url !== "/slow") return false;
    setTimeout(() => response.end(), request.url === "/slow" ? SLOW_MS : 0);
    return true;
  });
  await startEcho("ledger", LEDGER);
  await mesh.untilSynced(2);

  const send = async (count: number, host: string, path: string) => {
    for (let i = 0; i < count; i++) await viaSidecar(CLIENT, host, path);
  };
  await send(OK, "store", "/");
  await send(FAILED, "store", "/fails");
  await send(SLOW, "store", "/slow");
  await send(PLAIN, "ledger", "/");
  await send(UNSERVED, "empty", "/");
});

/** The labels that both ends give to a call from the client to the store. */
const CALL: Labels = {
  source_workload: "client",
  source_workload_namespace: NAMESPACE,
  source_principal: "spiffe://cluster.local/ns/shop/sa/client",
  source_app: "client",
  source_version: "v3",
  source_canonical_service: "client",
  source_canonical_revision: "v3",
  destination_workload: "store-1",
  destination_workload_namespace: NAMESPACE,
  destination_principal: "spiffe://cluster.local/ns/shop/sa/store",
  destination_app: "store",
  destination_version: "v1",
  destination_canonical_service: "store",
  destination_service: "store.shop.svc.cluster.local",
  destination_service_name: "store",
  destination_service_namespace: NAMESPACE,
  request_protocol: "http",
  response_flags: "-",
};

describe("istio_requests_total", () => {
  const total = "istio_requests_total";

  scenario("the caller's side, with Istio's labels", async () => {
    const samples = await scrape(CLIENT);
    const call = { ...CALL, reporter: "source" };
    expect(only(samples, total, { ...call, response_code: "200" }).value).toBe(OK + SLOW);
    expect(only(samples, total, { ...call, response_code: "503" }).value).toBe(FAILED);
  });

  scenario("the called side, which knows that it was mTLS", async () => {
    const samples = await scrape(STORE);
    const call = { ...CALL, reporter: "destination", connection_security_policy: "mutual_tls" };
    expect(only(samples, total, { ...call, response_code: "200" }).value).toBe(OK + SLOW);
    expect(only(samples, total, { ...call, response_code: "503" }).value).toBe(FAILED);
  });

  scenario("a call that the proxy answered itself has its flag", async () => {
    const labels = { destination_service_name: "empty", response_code: "503", response_flags: "UH" };
    const sample = only(await scrape(CLIENT), total, labels);
    expect(sample.value).toBe(UNSERVED);
    expect(sample.labels["destination_workload"]).toBe("unknown");
  });
});

describe("istio_request_duration_milliseconds", () => {
  for (const [side, address] of [["source", CLIENT], ["destination", STORE]] as const) {
    scenario(`reporter ${side}: buckets that add up to the count, and a sum`, async () => {
      const samples = await scrape(address);
      const labels = { ...CALL, reporter: side, response_code: "200" };
      const name = "istio_request_duration_milliseconds";
      const buckets = samples.filter((sample) =>
        sample.name === `${name}_bucket` &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
      );
      const counts = buckets.map(({ value }) => value);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(buckets.at(-1)).toMatchObject({ value: OK + SLOW, labels: { le: "+Inf" } });
      expect(only(samples, `${name}_count`, labels).value).toBe(OK + SLOW);
      // A timer may be a little early.
      const sumMs = only(samples, `${name}_sum`, labels).value;
      expect(sumMs).toBeGreaterThan(SLOW * (SLOW_MS - 5));
      expect(buckets.find(({ labels }) => labels["le"] === "25")?.value).toBeLessThanOrEqual(OK);
    });
  }
});

describe("trace headers", () => {
  const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const sent = (answer: CurlAnswer) => (JSON.parse(answer.body) as Echo).headers;

  scenario("a request without them gets a request id and a trace, new ones each time", async () => {
    const first = sent(await viaSidecar(CLIENT, "store"));
    const second = sent(await viaSidecar(CLIENT, "store"));
    expect(first["x-request-id"]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(first["traceparent"]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    expect(second["x-request-id"]).not.toBe(first["x-request-id"]);
    expect(second["traceparent"]).not.toBe(first["traceparent"]);
  });

  scenario("a request that has them keeps them", async () => {
    const headers = [
      "-H",
      "x-request-id: mine",
      "-H",
      `traceparent: ${TRACEPARENT}`,
      "-H",
      "tracestate: a=1",
    ];
    expect(sent(await viaSidecar(CLIENT, "store", "/", ...headers))).toMatchObject({
      "x-request-id": "mine",
      traceparent: TRACEPARENT,
      tracestate: "a=1",
    });
  });

  scenario("a trace that is none is replaced", async () => {
    const { traceparent } = sent(await viaSidecar(CLIENT, "store", "/", "-H", "traceparent: nonsense"));
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  });
});

interface Edge {
  readonly source: string;
  readonly destination: string;
  readonly service: string;
  readonly requests: number;
  readonly errors: number;
  readonly successRate: number;
  readonly requestsPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly mtls: boolean;
  readonly responses: Readonly<Record<string, number>>;
}

interface Graph {
  readonly nodes: readonly { readonly id: string; readonly app: string; readonly version: string }[];
  readonly edges: readonly Edge[];
}

describe("the graph", () => {
  const to = ({ edges }: Graph, destination: string) =>
    edges.find((edge) => edge.source === "shop/client" && edge.destination === destination);
  let graph: Graph;

  scenario("it has every call, once, though both ends report it", async () => {
    // The calls of the trace tests are in it too.
    const total = OK + FAILED + SLOW + 4;
    await until("all calls are reported", async () => {
      graph = await mesh.api<Graph>("/api/graph");
      return (to(graph, "shop/store-1")?.requests ?? 0) >= total && to(graph, "shop/ledger") !== undefined;
    });
    const { latencyMs, requestsPerSecond, ...edge } = to(graph, "shop/store-1") as Edge;
    expect(edge).toMatchObject({
      service: "store.shop.svc.cluster.local",
      protocol: "http",
      requests: total,
      errors: FAILED,
      successRate: Math.floor((total - FAILED) / total * 10_000) / 10_000,
      mtls: true,
      responses: { 200: total - FAILED, 503: FAILED },
    });
    expect(requestsPerSecond).toBeGreaterThan(0);
    expect(latencyMs.p50).toBeGreaterThan(0);
    expect(latencyMs.p99).toBeGreaterThanOrEqual(latencyMs.p50);
  });

  scenario("a call to a workload without a sidecar was not mTLS", async () => {
    expect(to(graph, "shop/ledger")).toMatchObject({
      requests: PLAIN,
      errors: 0,
      successRate: 1,
      mtls: false,
    });
  });

  scenario("calls that nobody could answer are errors", async () => {
    const edge = graph.edges.find(({ service }) => service === "empty.shop.svc.cluster.local");
    expect(edge).toMatchObject({ requests: UNSERVED, errors: UNSERVED, successRate: 0 });
  });

  scenario("its nodes say what they are", async () => {
    expect(graph.nodes.find(({ id }) => id === "shop/client")).toMatchObject({
      app: "client",
      version: "v3",
    });
    expect(graph.nodes.find(({ id }) => id === "shop/store-1")).toMatchObject({
      app: "store",
      version: "v1",
    });
  });

  scenario("bowline graph -o json says the same", async () => {
    const { code, stdout } = await bowline(["graph", "-o", "json", "--data", mesh.controlPlaneData]);
    expect(code).toBe(0);
    const printed = JSON.parse(stdout) as Graph;
    expect(to(printed, "shop/store-1")).toMatchObject({ responses: to(graph, "shop/store-1")?.responses });
    expect(printed.nodes).toEqual(graph.nodes as Graph["nodes"][number][]);
  });

  scenario("bowline graph, for people", async () => {
    const { stdout } = await bowline(["graph", "--data", mesh.controlPlaneData]);
    expect(stdout).toMatch(/^shop\/client +shop\/store-1 +store\.shop\.svc\.cluster\.local .* yes$/m);
    expect(stdout).toMatch(/^shop\/client +shop\/ledger +ledger\.shop\.svc\.cluster\.local .* 100% .* no$/m);
  });
});

scenario("bowline proxy-status: who is connected, where, and that it serves what it should", async () => {
  const { code, stdout } = await bowline(["proxy-status", "-o", "json", "--data", mesh.controlPlaneData]);
  expect(code).toBe(0);
  const { proxies } = JSON.parse(stdout) as { proxies: object[] };
  expect(proxies).toHaveLength(2);
  expect(proxies).toContainEqual(
    expect.objectContaining({ workload: "shop/store-1", role: "sidecar", address: STORE, state: "synced" }),
  );
  const table = await bowline(["proxy-status", "--data", mesh.controlPlaneData]);
  expect(table.stdout).toMatch(/^shop\/client +sidecar +127\.0\.7\.10 +synced /m);
});
