import { describe, expect, test } from "bun:test";
import type { ConfigResource } from "../../../src/config/resource.ts";
import type { WorkloadEntrySpec } from "../../../src/config/schema/workload_entry.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { workloadOfEntry } from "../../../src/pilot/file_workloads.ts";
import { DISCONNECT_GRACE_MS, WorkloadRegistry } from "../../../src/pilot/registry.ts";

const KEY = "tutorial/customer";

function entry(
  spec: Partial<Record<keyof WorkloadEntrySpec, unknown>> = {},
  labels: Record<string, string> = {},
): ConfigResource<WorkloadEntrySpec> {
  const position = { file: "w.yaml", line: 1, column: 1 };
  return {
    kind: "WorkloadEntry",
    apiVersion: "networking.istio.io/v1",
    namespace: "tutorial",
    name: "customer",
    labels,
    annotations: {},
    spec: {
      address: "10.0.0.1",
      ports: {},
      labels: {},
      weight: 1,
      serviceAccount: null,
      ...spec,
    } as WorkloadEntrySpec,
    position,
    positionOf: () => position,
  };
}

function registry(): { registry: WorkloadRegistry; clock: ManualClock; changes: () => number } {
  const clock = new ManualClock();
  const made = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  let count = 0;
  made.onChange(() => count++);
  return { registry: made, clock, changes: () => count };
}

const CONNECTED = { workload: KEY, address: "10.0.0.9", meshPort: 15008, role: "sidecar" } as const;

describe("workloadOfEntry()", () => {
  test("workloadOfEntry() takes the entry's name for a service account that is not written", () => {
    expect(workloadOfEntry(entry()).serviceAccount).toBe("customer");
    expect(workloadOfEntry(entry({ serviceAccount: "shop" })).serviceAccount).toBe("shop");
  });

  test("workloadOfEntry() sees a sidecar where a service account or the label says so, and only there", () => {
    const tlsMode = "security.istio.io/tlsMode";
    expect(workloadOfEntry(entry()).hasSidecar).toBe(false);
    expect(workloadOfEntry(entry({ serviceAccount: "shop" })).hasSidecar).toBe(true);
    expect(workloadOfEntry(entry({ labels: { [tlsMode]: "istio" } })).hasSidecar).toBe(true);
    expect(workloadOfEntry(entry({ serviceAccount: "shop", labels: { [tlsMode]: "disabled" } })).hasSidecar)
      .toBe(false);
  });

  test("workloadOfEntry() lets labels of the metadata beat those of the spec", () => {
    const { labels } = workloadOfEntry(entry({ labels: { app: "a", version: "v1" } }, { version: "v2" }));
    expect(labels).toEqual({ app: "a", version: "v2" });
  });
});

describe("WorkloadRegistry", () => {
  test("WorkloadRegistry believes the file's address, not the one that the workload reports", () => {
    const { registry: made } = registry();
    made.setFiles([entry()]);
    made.connect(CONNECTED);
    expect(made.get(KEY)?.address).toBe("10.0.0.1");
  });

  test("WorkloadRegistry knows a connected workload without a file by its name and reported address", () => {
    const { registry: made } = registry();
    made.connect(CONNECTED);
    expect(made.workloads()).toEqual([{
      namespace: "tutorial",
      name: "customer",
      address: "10.0.0.9",
      labels: { app: "customer" },
      serviceAccount: "customer",
      ports: {},
      weight: 1,
      hasSidecar: true,
      meshPort: 15008,
    }]);
  });

  test("WorkloadRegistry forgets a workload without a file only after its grace period", () => {
    const { registry: made, clock } = registry();
    made.connect(CONNECTED)();
    clock.advance(DISCONNECT_GRACE_MS - 1);
    expect(made.workloads().length).toBe(1);
    clock.advance(1);
    expect(made.workloads().length).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("WorkloadRegistry ends the grace period when the workload comes back", () => {
    const { registry: made, clock, changes } = registry();
    made.connect(CONNECTED)();
    clock.advance(DISCONNECT_GRACE_MS - 1);
    made.connect(CONNECTED);
    clock.advance(DISCONNECT_GRACE_MS * 2);
    expect(made.workloads().length).toBe(1);
    expect(changes()).toBe(1);
  });

  test("WorkloadRegistry keeps a workload whose old connection ends after its new one began", () => {
    const { registry: made, clock } = registry();
    const endOld = made.connect(CONNECTED);
    made.connect({ ...CONNECTED, address: "10.0.0.10" });
    endOld();
    endOld();
    clock.advance(DISCONNECT_GRACE_MS * 2);
    expect(made.get(KEY)?.address).toBe("10.0.0.10");
  });

  test("WorkloadRegistry never goes back to plain text for a workload that once had a sidecar", () => {
    const { registry: made, clock } = registry();
    made.setFiles([entry()]);
    expect(made.get(KEY)?.hasSidecar).toBe(false);
    made.connect(CONNECTED)();
    clock.advance(DISCONNECT_GRACE_MS * 2);
    expect(made.get(KEY)?.hasSidecar).toBe(true);
  });

  test("WorkloadRegistry knows the sidecars of enrolled workloads after a restart, before they connect", () => {
    const { registry: made } = registry();
    made.setFiles([entry()]);
    made.setEnrolled(new Set([KEY]));
    expect(made.get(KEY)?.hasSidecar).toBe(true);
  });

  test("WorkloadRegistry lets the files switch mTLS off for a workload, connected or not", () => {
    const { registry: made } = registry();
    made.setFiles([entry({ labels: { "security.istio.io/tlsMode": "disabled" } })]);
    made.setEnrolled(new Set([KEY]));
    made.connect(CONNECTED);
    expect(made.get(KEY)?.hasSidecar).toBe(false);
  });

  test("WorkloadRegistry expects the account of the file, else the workload's own name", () => {
    const { registry: made } = registry();
    expect(made.expectedSpiffeId(KEY)).toBe("spiffe://cluster.local/ns/tutorial/sa/customer");
    made.setFiles([entry({ serviceAccount: "shop" })]);
    expect(made.expectedSpiffeId(KEY)).toBe("spiffe://cluster.local/ns/tutorial/sa/shop");
    expect(made.expectedSpiffeId("customer")).toBeUndefined();
    expect(made.expectedSpiffeId("../etc/x")).toBeUndefined();
  });

  test("WorkloadRegistry says nothing when nothing changed, and keeps its objects", () => {
    const { registry: made, changes } = registry();
    made.setFiles([entry()]);
    const before = made.workloads();
    made.setFiles([entry()]);
    expect(changes()).toBe(1);
    expect(made.workloads()).toBe(before);
  });

  test("WorkloadRegistry awaits enrolled workloads that are in no file until they connect", () => {
    const { registry: made } = registry();
    made.setEnrolled(new Set([KEY]));
    expect(made.awaitsConnections()).toBe(true);
    made.connect(CONNECTED);
    expect(made.awaitsConnections()).toBe(false);
  });

  test("WorkloadRegistry awaits enrolled gateways of the files until they connect, but none that the label tells of", () => {
    const awaits = (labels: Record<string, string>, selector: Record<string, string>) => {
      const { registry: made } = registry();
      made.setFiles([entry({ serviceAccount: "edge" }, labels)]);
      made.setGateways([{ ...entry(), kind: "Gateway", spec: { selector, servers: [] } }]);
      made.setEnrolled(new Set([KEY]));
      const before = made.awaitsConnections();
      made.connect({ ...CONNECTED, role: "gateway" });
      return [before, made.awaitsConnections()];
    };
    expect(awaits({ istio: "edge" }, { istio: "edge" })).toEqual([true, false]);
    expect(awaits({ istio: "edge", "security.istio.io/tlsMode": "disabled" }, { istio: "edge" })).toEqual([
      false,
      false,
    ]);
    expect(awaits({ istio: "edge" }, { istio: "other" })).toEqual([false, false]);
    // It selects all gateways, which is nobody in particular.
    expect(awaits({ istio: "edge" }, {})).toEqual([false, false]);
  });

  test("WorkloadRegistry awaits a gateway that files written later tell of", () => {
    const { registry: made } = registry();
    made.setEnrolled(new Set([KEY]));
    made.setFiles([entry({ serviceAccount: "edge" }, { istio: "edge" })]);
    expect(made.awaitsConnections()).toBe(false);
    made.setGateways([{ ...entry(), kind: "Gateway", spec: { selector: { istio: "edge" }, servers: [] } }]);
    expect(made.awaitsConnections()).toBe(true);
    made.setGateways([]);
    expect(made.awaitsConnections()).toBe(false);
  });

  test("WorkloadRegistry takes a gateway for one that is called at its own ports, whatever the files say", () => {
    const { registry: made } = registry();
    made.setFiles([entry({ serviceAccount: "edge" })]);
    made.setEnrolled(new Set([KEY]));
    expect(made.get(KEY)).toMatchObject({ hasSidecar: true });
    made.connect({ ...CONNECTED, role: "gateway" });
    expect(made.get(KEY)).toMatchObject({ hasSidecar: false, role: "gateway" });
    const { registry: unwritten } = registry();
    unwritten.connect({ ...CONNECTED, role: "gateway" });
    expect(unwritten.get(KEY)).toMatchObject({
      hasSidecar: false,
      role: "gateway",
      labels: { app: "customer" },
    });
  });

  test("WorkloadRegistry takes one more enrolled workload, and forgets those whose certificate has expired", () => {
    const { registry: made } = registry();
    made.addEnrolled(KEY);
    expect(made.awaitsConnections()).toBe(true);
    made.setEnrolled(new Set());
    expect(made.awaitsConnections()).toBe(false);
    made.setFiles([entry()]);
    expect(made.get(KEY)?.hasSidecar).toBe(false);
    made.addEnrolled(KEY);
    expect(made.get(KEY)?.hasSidecar).toBe(true);
    made.setFiles([]);
    expect(made.awaitsConnections()).toBe(true);
  });

  test("WorkloadRegistry sorts by key whatever came and went", () => {
    const { registry: made } = registry();
    const keys = () => made.workloads().map(({ namespace, name }) => `${namespace}/${name}`);
    made.setFiles([entry()]);
    made.connect({ ...CONNECTED, workload: "tutorial/a" });
    made.connect({ ...CONNECTED, workload: "tutorial/z" });
    expect(keys()).toEqual(["tutorial/a", KEY, "tutorial/z"]);
    made.setFiles([]);
    expect(keys()).toEqual(["tutorial/a", "tutorial/z"]);
  });
});
