import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import type { Hello } from "../../../src/model/discovery.ts";
import type { EndpointSet } from "../../../src/model/cluster.ts";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import { DiscoveryServer, RECOMPUTE_DELAY_MS } from "../../../src/pilot/discovery/discovery_server.ts";
import { DISCONNECT_GRACE_MS, WorkloadRegistry } from "../../../src/pilot/registry.ts";
import { FakeProxy } from "./discovery/fake_proxy.ts";
import { load, resource, service, workloadEntry } from "./fixture.ts";

const MEMBER = "shop/search-bcdf2456";
const SEARCH_ID = "spiffe://cluster.local/ns/shop/sa/searcher";
const CALLER = workloadEntry("front", "shop", "{address: 10.0.0.1, serviceAccount: front}");

function group(
  probe = "",
  labels = "{app: search, version: v2}",
  template = "serviceAccount: searcher",
): string {
  return resource(
    "WorkloadGroup shop/search",
    `{metadata: {labels: ${labels}}, template: {${template}, weight: 3, locality: eu/one, ports: {http: 9090}}${probe}}`,
  );
}

const PROBE = ", probe: {httpGet: {port: 8080}}";

function start(...documents: string[]) {
  const clock = new ManualClock(1_000_000);
  const groupOf = (key: string) => key.startsWith("shop/search-") ? "shop/search" : undefined;
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local", groupOf });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const update = (...all: string[]) => {
    server.update(load(CALLER, service("search", "shop"), ...all));
    clock.advance(RECOMPUTE_DELAY_MS);
  };
  update(...documents);
  const front = new FakeProxy("shop/front");
  front.connect(server);
  front.ack();
  return { clock, registry, server, update, front };
}

type Started = ReturnType<typeof start>;

function join({ clock, server }: Started, change: Partial<Hello> = {}, peer = SEARCH_ID): FakeProxy {
  const member = new FakeProxy(MEMBER);
  member.connect(server, change, peer);
  clock.advance(RECOMPUTE_DELAY_MS);
  return member;
}

/** What the caller is told last of the endpoints of `search`, as `ADDRESS:PORT HEALTH`; undefined: nothing new. */
function told({ clock, front }: Started): string[] | undefined {
  clock.advance(RECOMPUTE_DELAY_MS);
  if (front.unanswered === 0) return undefined;
  const sets = front.pushes.at(-1)?.set.map(({ body }) => body);
  front.ack();
  const found = sets?.find((body) => body.kind === "endpoints") as EndpointSet | undefined;
  return found?.endpoints.map(({ address, port, health }) => `${address}:${port} ${health ?? "healthy"}`);
}

function probeOf(member: FakeProxy): ProxySettings["probe"] {
  const bodies = member.pushes.flatMap(({ set }) => set.map(({ body }) => body));
  return (bodies.findLast(({ kind }) => kind === "proxy") as ProxySettings | undefined)?.probe;
}

describe("WorkloadRegistry with WorkloadGroups", () => {
  test("WorkloadRegistry takes a member for what its group says, where it says it is", () => {
    const started = start(group());
    join(started);
    expect(started.registry.get(MEMBER)).toEqual({
      namespace: "shop",
      name: "search-bcdf2456",
      address: "10.0.0.9",
      labels: { app: "search", version: "v2" },
      serviceAccount: "searcher",
      ports: { http: 9090 },
      weight: 3,
      locality: "eu/one",
      hasSidecar: true,
      meshPort: 15008,
    });
    expect(told(started)).toEqual(["10.0.0.9:9090 healthy"]);
  });

  test("WorkloadRegistry gives members the service account of the group, or else the group's name", () => {
    const { registry, update } = start(group());
    expect(registry.expectedSpiffeId(MEMBER)).toBe(SEARCH_ID);
    expect(registry.groups.spiffeId("shop/search")).toBe(SEARCH_ID);
    update(group("", "{app: search}", "network: lan"));
    expect(registry.expectedSpiffeId(MEMBER)).toBe("spiffe://cluster.local/ns/shop/sa/search");
    expect(registry.groups.spiffeId("shop/other")).toBeUndefined();
  });

  test("WorkloadRegistry lets a WorkloadEntry of a member's name say what the member is", () => {
    const entry = workloadEntry("search-bcdf2456", "shop", "{address: 10.0.0.5, serviceAccount: own}");
    const { registry } = start(group(), entry);
    expect(registry.expectedSpiffeId(MEMBER)).toBe("spiffe://cluster.local/ns/shop/sa/own");
    expect(registry.get(MEMBER)?.address).toBe("10.0.0.5");
  });

  test("WorkloadRegistry keeps a member that is gone for its grace, and then forgets it", () => {
    const started = start(group());
    join(started).disconnect();
    started.clock.advance(DISCONNECT_GRACE_MS - 1);
    expect(started.registry.get(MEMBER)?.labels).toEqual({ app: "search", version: "v2" });
    started.clock.advance(1);
    expect(started.registry.get(MEMBER)).toBeUndefined();
  });

  test("WorkloadRegistry after a start waits for the members of groups that are in the files, and for no others", () => {
    const { registry, update } = start(group());
    registry.setEnrolled(new Set([MEMBER]));
    expect(registry.awaitsConnections()).toBe(true);
    update();
    expect(registry.awaitsConnections()).toBe(false);
  });
});

describe("DiscoveryServer with WorkloadGroups", () => {
  test("DiscoveryServer refuses a member whose certificate is not its group's", () => {
    const started = start(group());
    const member = join(started, {}, "spiffe://cluster.local/ns/shop/sa/search-bcdf2456");
    expect(member.ended).toContain(`must be ${SEARCH_ID}`);
    expect(told(started)).toBeUndefined();
  });

  test("DiscoveryServer refuses the members of a group that is in the files no more, and takes them out at once", () => {
    const started = start(group());
    const member = join(started);
    told(started);
    started.update();
    expect(member.ended).toBe(
      `Workload ${MEMBER} joined the WorkloadGroup shop/search, which is in the files no more`,
    );
    expect(told(started)).toEqual([]);
    expect(join(started).ended).toContain("in the files no more");
    started.update(group());
    expect(join(started).ended).toBeNull();
    expect(told(started)).toEqual(["10.0.0.9:9090 healthy"]);
  });

  test("DiscoveryServer moves members with their group's labels", () => {
    const started = start(group());
    join(started);
    told(started);
    started.update(group("", "{app: other}"));
    expect(told(started)).toEqual([]);
  });

  test("DiscoveryServer tells members their group's probe, in milliseconds", () => {
    const started = start(group(PROBE));
    expect(probeOf(join(started, { health: "unknown" }))).toEqual({
      method: { type: "http", host: null, port: 8080, path: "/", tls: false, headers: [] },
      initialDelayMs: 0,
      periodMs: 10_000,
      timeoutMs: 1_000,
      successThreshold: 1,
      failureThreshold: 3,
    });
  });

  test("DiscoveryServer passes on every kind of probe, and no time that a timer cannot count", () => {
    const methodOf = (probe: string) => probeOf(join(start(group(`, probe: {${probe}}`))))?.method;
    expect(methodOf("tcpSocket: {host: db, port: 1}")).toEqual({ type: "tcp", host: "db", port: 1 });
    expect(methodOf("exec: {command: [a, b]}")).toEqual({ type: "exec", command: ["a", "b"] });
    expect(methodOf("grpc: {port: 1}")).toEqual({ type: "grpc", port: 1, service: "" });
    expect(methodOf("httpGet: {port: 1, path: x, scheme: HTTPS, httpHeaders: [{name: Host, value: a}]}"))
      .toEqual({ type: "http", host: null, port: 1, path: "/x", tls: true, headers: [["host", "a"]] });
    const long = probeOf(join(start(group(", probe: {tcpSocket: {port: 1}, periodSeconds: 2147483647}"))));
    expect(long?.periodMs).toBe(2_147_483_647);
  });

  test("DiscoveryServer sends nobody to a probed member before its probe has succeeded, nor after it failed", () => {
    const started = start(group(PROBE));
    const member = join(started, { health: "unknown" });
    expect(told(started)).toEqual(["10.0.0.9:9090 unhealthy"]);
    expect(started.server.status().find(({ workload }) => workload === MEMBER)?.health).toBe("unhealthy");
    member.session?.receive({ type: "health", health: "healthy" });
    expect(told(started)).toEqual(["10.0.0.9:9090 healthy"]);
    expect(started.server.status().find(({ workload }) => workload === MEMBER)?.health).toBe("healthy");
    member.session?.receive({ type: "health", health: "unhealthy" });
    expect(told(started)).toEqual(["10.0.0.9:9090 unhealthy"]);
  });

  test("DiscoveryServer heeds no health that it does not understand, and none of a workload without a probe", () => {
    const started = start(group(PROBE));
    const member = join(started, { health: "healthy" });
    told(started);
    member.session?.receive({ type: "health", health: "confused" as "healthy" });
    expect(told(started)).toBeUndefined();
    started.update(group());
    member.session?.receive({ type: "health", health: "unhealthy" });
    expect(told(started)).toBeUndefined();
  });

  test("DiscoveryServer believes in the health of a proxy that knows no probes", () => {
    const started = start(group(PROBE));
    join(started);
    expect(told(started)).toEqual(["10.0.0.9:9090 healthy"]);
  });

  test("DiscoveryServer keeps what was true over a restart of the member's sidecar, not over its absence", () => {
    const started = start(group(PROBE));
    const member = join(started, { health: "healthy" });
    told(started);
    member.disconnect();
    const again = join(started, { health: "unknown" });
    expect(told(started)).toBeUndefined();
    again.disconnect();
    started.clock.advance(DISCONNECT_GRACE_MS);
    join(started, { health: "unknown" });
    expect(started.registry.get(MEMBER)?.unhealthy).toBe(true);
  });

  test("DiscoveryServer leaves in who is about to stop, while nobody who stays is healthy", () => {
    const started = start(group(PROBE));
    const old = join(started, { health: "healthy", address: "10.0.0.8" });
    const fresh = new FakeProxy("shop/search-ghjk2456");
    fresh.connect(started.server, { health: "unknown" }, SEARCH_ID);
    told(started);
    old.session?.receive({ type: "goodbye" });
    expect(told(started)).toEqual(["10.0.0.8:9090 healthy", "10.0.0.9:9090 unhealthy"]);
    fresh.session?.receive({ type: "health", health: "healthy" });
    expect(told(started)).toEqual(["10.0.0.9:9090 healthy"]);
  });

  test("DiscoveryServer takes nobody out because a probe is new: who was healthy is, until the probe has spoken", () => {
    const started = start(group());
    const member = join(started, { health: "unknown" });
    told(started);
    member.session?.receive({ type: "health", health: "healthy" });
    started.update(group(PROBE));
    expect(told(started)).toBeUndefined();
  });
});
