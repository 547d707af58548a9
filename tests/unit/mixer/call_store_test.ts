import { describe, expect, test } from "bun:test";
import { CallStore } from "../../../src/mixer/call_store.ts";
import { recordedCall } from "../telemetry/recorded_call.ts";
import type { RecordedCall } from "../../../src/model/recorded_call.ts";

const PEER = { namespace: "shop", principal: "spiffe://cluster.local/ns/shop/sa/web" };

const call = (path: string, more: Partial<RecordedCall> = {}) => recordedCall({ path, ...more });

describe("CallStore", () => {
  test("adds up what reports say, by workload", () => {
    const store = new CallStore();
    store.add({ workload: "shop/web", calls: [call("/a")], omitted: 1 }, PEER);
    store.add({ workload: "shop/web", calls: [call("/a", { allowed: 2, refused: 3 })], omitted: 1 }, PEER);
    store.add({ workload: "shop/api", calls: [call("/b")], omitted: 0 }, PEER);
    expect(store.seen()).toEqual([
      { workload: "shop/api", principal: PEER.principal, calls: [call("/b")], omitted: 0 },
      {
        workload: "shop/web",
        principal: PEER.principal,
        calls: [call("/a", { allowed: 3, refused: 3 })],
        omitted: 2,
      },
    ]);
  });

  test("does not believe a peer about workloads of another namespace", () => {
    const store = new CallStore();
    expect(store.add({ workload: "bank/web", calls: [call("/a")], omitted: 0 }, PEER)).toBe(false);
    expect(store.add({ workload: "shopping/web", calls: [call("/a")], omitted: 0 }, PEER)).toBe(false);
    expect(store.seen()).toEqual([]);
  });

  test("keeps what two identities say of a workload apart", () => {
    const store = new CallStore();
    const other = { ...PEER, principal: "spiffe://cluster.local/ns/shop/sa/liar" };
    for (const peer of [PEER, other]) {
      store.add({ workload: "shop/web", calls: [call("/a")], omitted: 0 }, peer);
    }
    expect(store.seen().map(({ principal }) => principal)).toEqual([PEER.principal, other.principal]);
  });

  test("only counts what is beyond the room of a workload, and of all", () => {
    const store = new CallStore({ calls: 3, callsPerWorkload: 2 });
    const calls = [call("/a"), call("/b"), call("/c")];
    store.add({ workload: "shop/web", calls, omitted: 0 }, PEER);
    store.add({ workload: "shop/api", calls, omitted: 0 }, PEER);
    expect(store.seen().map(({ calls, omitted }) => [calls.length, omitted])).toEqual([[1, 2], [2, 1]]);
  });
});
