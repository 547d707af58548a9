import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { EDGE_IDLE_MS, nodeId, TelemetryStore } from "../../../src/mixer/telemetry_store.ts";
import { edge, reportOf, workload } from "./reports.ts";

function calls(name: string) {
  return edge({ service: { host: `${name}.tutorial`, name, namespace: "tutorial" } });
}

function hosts(store: TelemetryStore): string[] {
  return [...store.edges()].map(({ service }) => service.host).sort();
}

describe("TelemetryStore.add()", () => {
  test("adds reports of one edge up, each end for itself", () => {
    const store = new TelemetryStore(new ManualClock());
    store.add(...reportOf(edge()));
    store.add(...reportOf(edge(), edge()));
    store.add(...reportOf(edge({ reporter: "destination" })));
    expect(store.size).toBe(1);
    const [only] = [...store.edges()];
    expect(only?.bySource?.total.requests).toBe(30);
    expect(only?.byDestination?.total.requests).toBe(10);
  });

  test("keeps services, protocols and mTLS apart", () => {
    const store = new TelemetryStore(new ManualClock());
    store.add(...reportOf(edge(), calls("other"), edge({ protocol: "tcp" }), edge({ mtls: false })));
    expect(store.size).toBe(4);
  });

  const foreign = [
    ["the source is another workload", { reporter: "source" as const, source: workload("thief") }],
    ["the destination is another workload", {
      reporter: "destination" as const,
      destination: workload("thief"),
    }],
    ["the namespace is another", {
      reporter: "source" as const,
      source: { ...workload("customer"), namespace: "other" },
    }],
    ["the principal is empty", {
      reporter: "source" as const,
      source: { ...workload("customer"), principal: "" },
    }],
  ] as const;
  test.each(foreign)("leaves an edge out when %s", (_, overrides) => {
    const store = new TelemetryStore(new ManualClock());
    const own = overrides.reporter === "source" ? edge() : edge({ reporter: "destination" });
    const [, peer] = reportOf(own);
    expect(store.add({ edges: [edge(overrides), own] }, peer)).toBe(1);
    expect(store.refused).toBe(1);
    const [only, ...others] = [...store.edges()];
    expect(others).toEqual([]);
    expect((only?.bySource ?? only?.byDestination)?.total.requests).toBe(10);
    expect([only?.source.name, only?.destination.name]).toEqual(["customer", "preference"]);
  });

  test("lets nobody report the other end of an edge", () => {
    const store = new TelemetryStore(new ManualClock());
    const [, customer] = reportOf(edge());
    expect(store.add({ edges: [edge({ reporter: "destination" })] }, customer)).toBe(1);
    expect(store.size).toBe(0);
  });

  test("takes edges up to the limit and counts the others as overflowed", () => {
    const store = new TelemetryStore(new ManualClock(), { edges: 2, edgesPerReporter: 10 });
    store.add(...reportOf(calls("a"), calls("b")));
    expect(store.overflowed).toBe(0);
    store.add(...reportOf(calls("c"), calls("a")));
    expect(hosts(store)).toEqual(["a.tutorial", "b.tutorial"]);
    expect(store.overflowed).toBe(1);
  });

  test("takes edges of one reporter up to its limit, and of others still", () => {
    const store = new TelemetryStore(new ManualClock(), { edges: 10, edgesPerReporter: 2 });
    store.add(...reportOf(calls("a"), calls("b"), calls("c")));
    expect(hosts(store)).toEqual(["a.tutorial", "b.tutorial"]);
    expect(store.overflowed).toBe(1);
    store.add(...reportOf({ ...calls("d"), source: workload("other") }));
    expect(store.size).toBe(3);
  });

  test("drops the edge that was idle longest to make room", () => {
    const clock = new ManualClock();
    const store = new TelemetryStore(clock, { edges: 2, edgesPerReporter: 2 });
    store.add(...reportOf(calls("a"), calls("b")));
    clock.advance(1);
    store.add(...reportOf(calls("a")));
    clock.advance(EDGE_IDLE_MS - 2);
    store.add(...reportOf(calls("c")));
    expect([hosts(store), store.overflowed]).toEqual([["a.tutorial", "b.tutorial"], 1]);
    clock.advance(1);
    store.add(...reportOf(calls("c")));
    expect([hosts(store), store.overflowed]).toEqual([["a.tutorial", "c.tutorial"], 1]);
  });

  test("believes a workload about itself more than others", () => {
    const store = new TelemetryStore(new ManualClock());
    const preference = workload("preference");
    store.add(...reportOf(edge({ reporter: "destination", destination: { ...preference, version: "v2" } })));
    store.add(...reportOf(edge({ destination: { ...preference, version: "guess" } })));
    expect([...store.edges()][0]?.destination.version).toBe("v2");
  });
});

test("nodeId() names what can be named", () => {
  expect(nodeId(workload("customer"))).toBe("tutorial/customer");
  expect(nodeId({ ...workload("customer"), namespace: "" })).toBe("customer");
  expect(nodeId({ ...workload("customer"), namespace: "", name: "" })).toBe("unknown");
  expect(nodeId({ ...workload("unknown"), namespace: "unknown" })).toBe("unknown");
});
