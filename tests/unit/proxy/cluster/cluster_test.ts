/** Who of a cluster's endpoints is asked: health, retries, localities, slow start, and what a new snapshot keeps. */
import { describe, expect, test } from "bun:test";
import type { Cluster, Endpoint } from "../../../../src/model/cluster.ts";
import { NO_KEY } from "../../../../src/proxy/cluster/balancer/balancer.ts";
import { keyHash } from "../../../../src/lib/hash.ts";
import { endpoint } from "../data_plane.ts";
import { OUTLIER } from "./health/outlier.ts";
import { ClusterLife, isWithin3Sigma, place } from "./members.ts";

const endpoints = (count: number): Endpoint[] => Array.from({ length: count }, (_, i) => endpoint(i + 1));
const sick = (one: Endpoint): Endpoint => ({ ...one, health: "unhealthy" });
const locality = { distribute: [], failover: [], failoverPriority: [] };
const BALANCERS = ["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"] as const;
const HASHES = ["RING_HASH", "MAGLEV"] as const;
const hash = { keys: [{ type: "header", name: "x-user" }] } as const;

/** The first five answers of the endpoint are 500. */
function eject(life: ClusterLife, n: number): void {
  for (let i = 0; i < 5; i++) life.at(n).report(500, null);
}

describe("CompiledCluster.pick() for a retry", () => {
  test.each(BALANCERS)(
    "pick() gives an endpoint that was not tried, as far as there is one: %s",
    (balancer) => {
      const life = new ClusterLife();
      const cluster = life.serve({ balancer }, endpoints(4));
      let same = 0;
      for (let i = 0; i < 1_000; i++) {
        const first = cluster.pick();
        const second = cluster.pick(first === null ? [] : [first]);
        const third = cluster.pick([first, second].filter((one) => one !== null));
        if (second === first || third === first || third === second) same++;
      }
      expect(same).toBe(0);
      const alone = new ClusterLife().serve({ balancer }, endpoints(1));
      const [only] = alone.endpoints;
      expect(alone.pick(only === undefined ? [] : [only])).toBe(only ?? null);
    },
  );

  test("pick() turns away from one that is dead, and so has less to do than all others", () => {
    const life = new ClusterLife();
    const cluster = life.serve({ balancer: "LEAST_REQUEST" }, endpoints(3));
    for (const n of [2, 3]) life.at(n).host.active = 10;
    const retried = Array.from({ length: 1_000 }, () => cluster.pick([life.at(1)]));
    expect(new Set(retried)).toEqual(new Set([life.at(2), life.at(3)]));
  });

  test("pick() asks for that nobody who is ill, or of another locality", () => {
    const life = new ClusterLife({ locality: "eu", labels: {} });
    const cases = [[place(1, "eu"), sick(place(2, "eu"))], [place(1, "eu"), place(2, "us")]];
    for (const places of cases) {
      const cluster = life.serve({ locality, outlier: OUTLIER }, places);
      for (let i = 0; i < 100; i++) expect(cluster.pick([life.at(1)])).toBe(life.at(1));
    }
  });

  test.each(HASHES)("pick() stays with the key, tried or not: %s", (balancer) => {
    const cluster = new ClusterLife().serve({ balancer, hash }, endpoints(3));
    for (let i = 0; i < 100; i++) {
      const first = cluster.pick([], i);
      expect(cluster.pick(first === null ? [] : [first], i)).toBe(first);
    }
  });
});

describe("CompiledCluster.pick() where hosts are silent", () => {
  test.each(BALANCERS)(
    "pick() asks others, as long as there are any, and it again afterwards: %s",
    (balancer) => {
      const life = new ClusterLife();
      const cluster = life.serve({ balancer }, endpoints(3));
      life.silence(1);
      expect(Object.keys(life.shares(1_000))).toEqual(["2", "3"]);
      expect(Array.from({ length: 100 }, () => cluster.pick([life.at(2)]))).toEqual(
        Array(100).fill(life.at(3)),
      );
      life.silence(2);
      expect(life.shares(1_000)).toEqual({ 3: 1_000 });
      // Rather one that may have come back than one that failed just now.
      for (let i = 0; i < 100; i++) {
        expect([life.at(1), life.at(2)]).toContain(
          cluster.pick([life.at(3)]) as never,
        );
      }
      life.silence(3);
      expect(Object.keys(life.shares(1_000))).toEqual(["1", "2", "3"]);
      for (const n of [1, 2, 3]) life.silence(n, false);
      expect(Object.keys(life.shares(1_000))).toEqual(["1", "2", "3"]);
    },
  );

  test("pick() asks one of many that is not silent", () => {
    const life = new ClusterLife();
    life.serve({ balancer: "RANDOM" }, endpoints(50));
    for (let n = 1; n < 50; n++) life.silence(n);
    expect(life.shares(100)).toEqual({ 50: 100 });
  });

  test.each(HASHES)(
    "pick() has one other endpoint for a key meanwhile, and leaves all other keys alone: %s",
    (balancer) => {
      const life = new ClusterLife();
      const cluster = life.serve({ balancer, hash }, endpoints(10));
      const keys = Array.from({ length: 1_000 }, (_, i) => keyHash(`user-${i}`));
      const before = keys.map((key) => cluster.pick([], key));
      life.silence(1);
      const during = keys.map((key) => cluster.pick([], key));
      expect(during).not.toContain(life.at(1));
      expect(keys.map((key) => cluster.pick([], key))).toEqual(during);
      before.forEach((one, i) => one !== life.at(1) && expect(during[i]).toBe(one));
      life.silence(1, false);
      expect(keys.map((key) => cluster.pick([], key))).toEqual(before);
    },
  );
});

describe("CompiledCluster.pickElsewhere()", () => {
  const at = (...regions: string[]) => regions.map((region, i) => place(i + 1, region));

  test("goes on to other localities after every second attempt, and begins anew when none are left", () => {
    const life = new ClusterLife({ locality: "eu", labels: {} });
    const cluster = life.serve({ locality, outlier: OUTLIER }, at("eu", "eu", "us", "us"));
    const isHere = (attempted: number[]) => {
      const picked = cluster.pickElsewhere(attempted.map((n) => life.at(n)), undefined, NO_KEY);
      return picked?.endpoint.locality === "eu";
    };
    expect([[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]].map(isHere)).toEqual([true, false, false, true]);
  });

  test("gives nobody elsewhere who is not healthy", () => {
    const life = new ClusterLife({ locality: "eu", labels: {} });
    const cluster = life.serve({ locality, outlier: OUTLIER }, at("eu", "eu", "us", "us"));
    const elsewhere = () => cluster.pickElsewhere([life.at(1), life.at(2)], undefined, NO_KEY);
    expect(elsewhere()?.endpoint.locality).toBe("us");
    eject(life, 3);
    eject(life, 4);
    expect(elsewhere()?.endpoint.locality).toBe("eu");
  });

  test.each([
    ["shares of localities", { ...locality, distribute: [{ from: "eu", to: { eu: 50, us: 50 } }] }, OUTLIER],
    ["one level", locality, undefined],
  ])("without priority levels any endpoint will do: %s", (_, settings, outlier) => {
    const life = new ClusterLife({ locality: "eu", labels: {} });
    const cluster = life.serve({ locality: settings, ...outlier && { outlier } }, at("eu", "us"));
    expect(cluster.pickElsewhere([life.at(1), life.at(2)], undefined, NO_KEY)).not.toBeNull();
  });
});

describe("CompiledCluster.pick() and health", () => {
  test.each([...BALANCERS, ...HASHES])("pick() gives nobody who is ejected or unhealthy: %s", (balancer) => {
    const life = new ClusterLife();
    life.serve({ balancer, hash, outlier: OUTLIER }, [...endpoints(3), sick(endpoint(4))]);
    expect(Object.keys(life.shares(500))).toEqual(["1", "2", "3"]);
    eject(life, 2);
    expect(Object.keys(life.shares(500))).toEqual(["1", "3"]);
    life.clock.advance(45_000);
    expect(Object.keys(life.shares(500))).toEqual(["1", "2", "3"]);
  });

  test("pick() gives null when everybody is out, until somebody is back", () => {
    const life = new ClusterLife();
    const cluster = life.serve({ outlier: OUTLIER }, endpoints(2));
    eject(life, 1);
    eject(life, 2);
    expect([cluster.pick(), cluster.outlier?.ejected]).toEqual([null, 2]);
    life.clock.advance(45_000);
    expect(Object.keys(life.shares(10))).toEqual(["1", "2"]);
    expect(new ClusterLife().serve({}, []).pick()).toBeNull();
    expect(new ClusterLife().serve({}, [sick(endpoint(1))]).pick()).toBeNull();
  });

  test("pick() uses everybody when fewer than minHealthPercent are healthy", () => {
    const life = new ClusterLife();
    life.serve({ outlier: { ...OUTLIER, minHealthPercent: 50 } }, endpoints(4));
    eject(life, 1);
    eject(life, 2);
    expect(Object.keys(life.shares(100))).toEqual(["3", "4"]);
    eject(life, 3);
    expect(Object.keys(life.shares(100))).toEqual(["1", "2", "3", "4"]);
  });

  test("pick() divides by locality, healthy or not, when fewer than minHealthPercent are healthy in all of them", () => {
    const life = new ClusterLife({ locality: "eu", labels: {} });
    const distribute = [{ from: "eu", to: { eu: 50, us: 50 } }];
    const all = [place(1, "eu"), place(2, "eu"), place(3, "us"), place(4, "us")];
    const outlier = { ...OUTLIER, minHealthPercent: 50 };
    life.serve({ locality: { ...locality, distribute }, outlier }, all);
    const asked = () => Object.keys(life.shares(200));
    eject(life, 1);
    eject(life, 3);
    expect(asked()).toEqual(["2", "4"]);
    eject(life, 4);
    expect(asked()).toEqual(["1", "2", "3", "4"]);
  });

  test("report() on a cluster without outlier detection ejects nobody", () => {
    const life = new ClusterLife();
    life.serve({}, endpoints(1));
    for (let i = 0; i < 100; i++) life.at(1).report(500, null);
    expect(life.shares(10)).toEqual({ 1: 10 });
    expect(life.at(1).health).toBeNull();
  });

  test("pick() keeps keys where they are while others are ejected", () => {
    const life = new ClusterLife();
    const cluster = life.serve({ balancer: "MAGLEV", hash, outlier: OUTLIER }, endpoints(5));
    const keys = Array.from({ length: 2_000 }, (_, i) => keyHash(`${i}`));
    const where = () => keys.map((key) => cluster.pick([], key)?.key);
    const before = where();
    eject(life, 3);
    const after = where();
    const moved = before.filter((key, i) => key !== after[i] && key !== "192.0.2.3:8080").length;
    expect(after).not.toContain("192.0.2.3:8080");
    expect(moved).toBeLessThan(60);
    life.clock.advance(45_000);
    expect(where()).toEqual(before);
  });
});

describe("CompiledCluster and a new snapshot", () => {
  test("an ejected endpoint stays out, and comes back when its time is over", () => {
    const life = new ClusterLife();
    life.serve({ outlier: OUTLIER }, endpoints(2));
    eject(life, 1);
    life.clock.advance(20_000);
    life.serve({ outlier: OUTLIER }, endpoints(3));
    expect(Object.keys(life.shares(100))).toEqual(["2", "3"]);
    expect(life.current?.outlier?.counters.ejections).toBe(1);
    life.clock.advance(25_000);
    expect(Object.keys(life.shares(100))).toEqual(["1", "2", "3"]);
  });

  test("errors are counted on, and reports of the old cluster's requests count too", () => {
    const life = new ClusterLife();
    life.serve({ outlier: OUTLIER }, endpoints(2));
    const before = life.at(1);
    for (let i = 0; i < 3; i++) before.report(500, null);
    life.serve({ outlier: OUTLIER }, [...endpoints(2), endpoint(3)]);
    before.report(500, null);
    life.at(1).report(500, null);
    expect(Object.keys(life.shares(100))).toEqual(["2", "3"]);
  });

  test("an endpoint that went is nobody's any more", () => {
    const life = new ClusterLife();
    life.serve({ outlier: OUTLIER }, endpoints(2));
    const gone = life.at(1);
    eject(life, 1);
    life.serve({ outlier: OUTLIER }, [endpoint(2)]);
    expect(life.current?.outlier?.ejected).toBe(0);
    for (let i = 0; i < 20; i++) gone.report(500, null);
    expect(life.wheel.size).toBe(0);
    life.serve({ outlier: OUTLIER }, endpoints(2));
    expect(Object.keys(life.shares(100))).toEqual(["1", "2"]);
  });

  test("another identity at the same address is another endpoint", () => {
    const life = new ClusterLife();
    life.serve({ outlier: OUTLIER }, [endpoint(1), endpoint(2)]);
    eject(life, 1);
    life.serve({ outlier: OUTLIER }, [endpoint(1, true), endpoint(2)]);
    expect(Object.keys(life.shares(100))).toEqual(["1", "2"]);
  });

  test("without outlier detection everybody is back at once", () => {
    const life = new ClusterLife();
    const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };
    life.serve({ outlier: OUTLIER, warmup }, endpoints(2));
    eject(life, 1);
    life.serve({ warmup }, endpoints(2));
    expect(Object.keys(life.shares(100))).toEqual(["1", "2"]);
    expect(life.wheel.size).toBe(0);
  });
});

describe("CompiledCluster and localities", () => {
  const places = [place(1, "eu/a/1"), place(2, "eu/a/1"), place(3, "eu/b/1"), place(4, "us/x/1")];
  const own = { locality: "eu/a/1", labels: {} };

  test("pick() stays in the nearest place, and fails over by how much of it is healthy", () => {
    const life = new ClusterLife(own);
    life.serve({ balancer: "RANDOM", outlier: OUTLIER, locality }, places);
    expect(Object.keys(life.shares(300))).toEqual(["1", "2"]);
    eject(life, 1);
    // 140 % of one half.
    const shares = life.shares(10_000);
    expect(isWithin3Sigma(shares[2] as number, 10_000, 0.7)).toBe(true);
    expect((shares[2] as number) + (shares[3] as number)).toBe(10_000);
    eject(life, 2);
    expect(life.shares(100)).toEqual({ 3: 100 });
    eject(life, 3);
    expect(life.shares(100)).toEqual({ 4: 100 });
  });

  test("pick() does not look at places without outlier detection, which failover needs", () => {
    const life = new ClusterLife(own);
    life.serve({ locality }, places);
    expect(Object.keys(life.shares(300))).toEqual(["1", "2", "3", "4"]);
  });

  test("pick() distributes by the weights of localities, and takes from those that are not healthy", () => {
    const life = new ClusterLife(own);
    const distribute = [{ from: "eu/*", to: { "eu/a/*": 80, "eu/b/*": 20 } }];
    life.serve({ outlier: OUTLIER, locality: { ...locality, distribute } }, places);
    const shares = life.shares(10_000);
    expect(isWithin3Sigma(shares[3] as number, 10_000, 0.2)).toBe(true);
    expect(shares[4]).toBeUndefined();
    eject(life, 1);
    // 80 × 140 % × one half, against 20.
    expect(isWithin3Sigma(life.shares(10_000)[2] as number, 10_000, 56 / 76)).toBe(true);
  });

  test.each(HASHES)("pick() sends a key to one place and one endpoint there: %s", (balancer) => {
    const life = new ClusterLife(own);
    const distribute = [{ from: "*", to: { "eu/*": 70, "us/*": 30 } }];
    const cluster = life.serve({ balancer, hash, locality: { ...locality, distribute } }, places);
    let far = 0;
    for (let i = 0; i < 10_000; i++) {
      const key = keyHash(`${i}`);
      const picked = cluster.pick([], key);
      expect(cluster.pick([], key)).toBe(picked);
      if (picked?.endpoint.locality === "us/x/1") far++;
    }
    expect(isWithin3Sigma(far, 10_000, 0.3)).toBe(true);
  });
});

describe("CompiledCluster and slow start", () => {
  const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };
  const warming = (balancer: Cluster["balancer"]): Partial<Cluster> => ({ balancer, warmup });

  test.each(["ROUND_ROBIN", "LEAST_REQUEST"] as const)(
    "an endpoint that comes gets more and more: %s",
    (balancer) => {
      const life = new ClusterLife();
      life.serve(warming(balancer), endpoints(2));
      const share = () => (life.shares(1_100)[3] as number) / 1_100;
      life.serve(warming(balancer), endpoints(3));
      // 0.1 beside 1 and 1.
      expect(share()).toBeCloseTo(0.1 / 2.1, 1);
      life.clock.advance(30_000);
      life.shares(100);
      expect(share()).toBeCloseTo(0.5 / 2.5, 1);
      life.clock.advance(30_000);
      expect(share()).toBeWithin(0.28, 0.39);
    },
  );

  test("what was there when the cluster came is warm", () => {
    const life = new ClusterLife();
    life.serve(warming("ROUND_ROBIN"), endpoints(2));
    expect(life.shares(100)).toEqual({ 1: 50, 2: 50 });
  });

  test("an endpoint that its probe finds healthy again warms up anew, one that was ejected does not", () => {
    const life = new ClusterLife();
    const settings = { ...warming("ROUND_ROBIN"), outlier: OUTLIER };
    life.serve(settings, endpoints(2));
    life.serve(settings, [endpoint(1), sick(endpoint(2))]);
    expect(life.shares(10)).toEqual({ 1: 10 });
    life.serve(settings, endpoints(2));
    expect(life.shares(110)[2] as number).toBeWithin(8, 13);
    life.clock.advance(60_000);
    eject(life, 1);
    life.clock.advance(45_000);
    expect(life.shares(100)).toEqual({ 1: 50, 2: 50 });
  });

  test("other balancers do not look at it", () => {
    const life = new ClusterLife();
    life.serve(warming("RANDOM"), endpoints(1));
    life.serve(warming("RANDOM"), endpoints(2));
    expect(isWithin3Sigma(life.shares(10_000)[2] as number, 10_000, 0.5)).toBe(true);
  });
});
