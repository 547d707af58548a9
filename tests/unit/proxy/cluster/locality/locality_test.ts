/** Where endpoints stand, seen from a proxy. */
import { describe, expect, test } from "bun:test";
import type { Labels } from "../../../../../src/model/labels.ts";
import type { Endpoint, LocalitySettings } from "../../../../../src/model/cluster.ts";
import {
  distribution,
  localityDistance,
  localityMatches,
  priorities,
} from "../../../../../src/proxy/cluster/locality/locality.ts";
import { place } from "../members.ts";

const settings = (more: Partial<LocalitySettings>): LocalitySettings => ({
  distribute: [],
  failover: [],
  failoverPriority: [],
  ...more,
});
const at = (...localities: string[]) => localities.map((locality, n) => place(n, locality));
const own = (locality: string, labels: Labels = {}) => ({ locality, labels });

describe("localityMatches", () => {
  test.each([
    ["eu/a/1", "eu/a/1", true],
    ["eu/a/1", "eu/a", true],
    ["eu/a/1", "eu", true],
    ["eu/a/1", "*", true],
    ["eu/a/1", "eu/*", true],
    ["eu/a/1", "*/a/*", true],
    ["eu/a/1", "eu/b/*", false],
    ["eu/a/1", "us", false],
    ["eu", "eu/a", false],
    ["", "*", true],
    ["", "eu", false],
    ["eurasia", "eu", false],
  ])("localityMatches(%p, %p) is %p", (locality, pattern, expected) => {
    expect(localityMatches(locality, pattern)).toBe(expected);
  });
});

describe("localityDistance", () => {
  test.each([
    ["eu/a/1", "eu/a/1", 0],
    ["eu/a/1", "eu/a/2", 1],
    ["eu/a/1", "eu/b/1", 2],
    ["eu/a/1", "us/a/1", 3],
    ["", "", 0],
    ["eu/a", "eu/a", 0],
    ["eu", "eu/a/1", 2],
  ])("localityDistance(%p, %p) is %p", (a, b, expected) => {
    expect(localityDistance(a, b)).toBe(expected);
  });
});

describe("priorities", () => {
  test("priorities() prefers the own subzone, zone, region, without gaps", () => {
    const all = at("us/x/1", "eu/a/1", "eu/b/1", "eu/a/2", "");
    expect(priorities(all, own("eu/a/1"), settings({}))).toEqual([3, 0, 2, 1, 3]);
    expect(priorities(at("us/x/1", "eu/b/1"), own("eu/a/1"), settings({}))).toEqual([1, 0]);
    expect(priorities(all, own(""), settings({}))).toEqual([1, 1, 1, 1, 0]);
  });

  test("priorities() puts regions last that the failover rule leaves out", () => {
    const failover = [{ from: "us", to: "asia" }, { from: "eu", to: "us" }];
    const all = at("asia/a/1", "us/x/1", "eu/a/1");
    expect(priorities(all, own("eu/a/1"), settings({ failover }))).toEqual([2, 1, 0]);
    expect(priorities(all, own("africa/a/1"), settings({ failover }))).toEqual([0, 0, 0]);
  });

  test("priorities() counts leading labels that agree", () => {
    const labelled = (...labels: Labels[]): Endpoint[] =>
      labels.map((one, n) => place(n, "", { labels: one }));
    const all = labelled({ v: "1", rack: "a" }, { v: "1", rack: "b" }, { v: "2", rack: "a" }, {});
    const rule = settings({ failoverPriority: ["v", "rack"] });
    expect(priorities(all, own("", { v: "1", rack: "a" }), rule)).toEqual([0, 1, 2, 2]);
    // A label with a value of its own, and two that nobody has.
    expect(priorities(all, own("", { rack: "a" }), settings({ failoverPriority: ["v=2", "rack"] })))
      .toEqual([1, 1, 0, 1]);
    expect(priorities(all, own("", { v: "1" }), settings({ failoverPriority: ["none", "other"] })))
      .toEqual([0, 0, 0, 0]);
  });

  test("priorities() lets labels come before places when both are given", () => {
    const all = [
      place(1, "us/x/1", { labels: { v: "1" } }),
      place(2, "eu/a/1", { labels: { v: "2" } }),
      place(3, "eu/a/1", { labels: { v: "1" } }),
    ];
    const rule = settings({ failoverPriority: ["v"], failover: [{ from: "eu", to: "us" }] });
    expect(priorities(all, own("eu/a/1", { v: "1" }), rule)).toEqual([1, 2, 0]);
  });
});

describe("distribution", () => {
  test("distribution() takes the first rule for the own place, and drops what it does not name", () => {
    const distribute: LocalitySettings["distribute"] = [
      { from: "us/*", to: { "us/*": 100 } },
      { from: "eu/a/*", to: { "eu/a/*": 80, "eu/b/*": 20 } },
      { from: "*", to: { "*": 100 } },
    ];
    const all = at("eu/a/1", "eu/b/1", "us/x/1");
    expect(distribution(all, own("eu/a/1"), settings({ distribute }))).toEqual([
      { weight: 80, members: [0] },
      { weight: 20, members: [1] },
    ]);
    expect(distribution(all, own("asia"), settings({ distribute: distribute.slice(0, 2) }))).toBeNull();
  });

  test("distribution() divides a share among the places that a pattern takes, by their weights", () => {
    const all = [place(0, "eu/a/1", { weight: 3 }), place(1, "eu/a/2"), place(2, "eu/b/1")];
    const distribute = [{ from: "*", to: { "eu/a/*": 80, "*": 20 } }];
    expect(distribution(all, own(""), settings({ distribute }))).toEqual([
      { weight: 60, members: [0] },
      { weight: 20, members: [1] },
      { weight: 20, members: [2] },
    ]);
  });
});
