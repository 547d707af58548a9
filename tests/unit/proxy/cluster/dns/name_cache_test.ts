import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../../src/lib/timer_wheel.ts";
import {
  DNS_FIRST_ANSWER_MAX_MS,
  DNS_NAMES_MAX,
  DNS_REFRESH_MIN_MS,
  DNS_WARMUP_MAX_MS,
  NameCache,
} from "../../../../../src/proxy/cluster/dns/name_cache.ts";
import type { ResolvedName } from "../../../../../src/runtime/dns.ts";

/** A cache and the one who answers it. */
function made() {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const asked: string[] = [];
  const changed: string[] = [];
  const warnings: string[] = [];
  let pending: PromiseWithResolvers<ResolvedName>[] = [];
  const cache = new NameCache({
    clock,
    wheel,
    resolve: (name) => {
      asked.push(name);
      const one = Promise.withResolvers<ResolvedName>();
      pending.push(one);
      return one.promise;
    },
    warn: (message) => void warnings.push(message),
    onChange: (name) => void changed.push(name),
  });
  const settle = async () => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  const answer = async (ttlMs: number, ...addresses: string[]) => {
    for (const one of pending.splice(0)) one.resolve({ addresses, ttlMs });
    await settle();
  };
  const fail = async (code = "DNS_ESERVFAIL") => {
    const failed = pending;
    pending = [];
    for (const one of failed) one.reject(Object.assign(new Error("failed"), { code }));
    await settle();
  };
  const pass = (ms: number) => clock.advance(ms + WHEEL_LATENESS_MS);
  return { clock, wheel, cache, asked, changed, warnings, answer, fail, pass, settle };
}

const A = new Set(["a"]);

describe("NameCache", () => {
  test("looks a name up again when its answer has run out, and not before", async () => {
    const { cache, asked, answer, pass } = made();
    cache.retain(A);
    await answer(60_000, "10.0.0.1");
    pass(59_000);
    expect(asked).toEqual(["a"]);
    pass(1_000);
    expect(asked).toEqual(["a", "a"]);
  });

  test("an answer that holds for less, or for an unknown time, holds for the shortest time", async () => {
    for (const ttlMs of [0, DNS_REFRESH_MIN_MS - 1]) {
      const { cache, asked, answer, pass } = made();
      cache.retain(A);
      await answer(ttlMs, "10.0.0.1");
      pass(DNS_REFRESH_MIN_MS - 2 * WHEEL_LATENESS_MS);
      expect(asked).toHaveLength(1);
      pass(WHEEL_LATENESS_MS);
      expect(asked).toHaveLength(2);
    }
  });

  test("tells of other addresses and of another order, and of nothing else", async () => {
    const { cache, changed, answer, pass } = made();
    cache.retain(A);
    await answer(0, "10.0.0.1", "10.0.0.2");
    pass(DNS_REFRESH_MIN_MS);
    await answer(0, "10.0.0.1", "10.0.0.2");
    expect(changed).toEqual(["a"]);
    pass(DNS_REFRESH_MIN_MS);
    await answer(0, "10.0.0.2", "10.0.0.1");
    expect([changed, cache.addressesOf("a")]).toEqual([["a", "a"], ["10.0.0.2", "10.0.0.1"]]);
  });

  test("keeps the last good answer through failures, says so once, and asks on", async () => {
    const { cache, asked, warnings, answer, fail, pass } = made();
    cache.retain(A);
    await answer(0, "10.0.0.1");
    for (let i = 0; i < 3; i++) {
      pass(DNS_REFRESH_MIN_MS);
      await fail();
    }
    expect(cache.addressesOf("a")).toEqual(["10.0.0.1"]);
    expect(warnings).toEqual(["Cannot look up a: DNS_ESERVFAIL; its last addresses serve on"]);
    expect(asked).toHaveLength(4);
  });

  test("a name that never had an answer has no addresses", async () => {
    const { cache, warnings, fail } = made();
    cache.retain(A);
    await fail("DNS_ENOTFOUND");
    expect(cache.addressesOf("a")).toBeNull();
    expect(warnings).toEqual(["Cannot look up a: DNS_ENOTFOUND; it has no endpoints"]);
  });

  test("lets go of names that nobody has any more, also of an answer that is under way", async () => {
    const { cache, wheel, asked, changed, answer, pass } = made();
    cache.retain(A);
    cache.retain(new Set());
    await answer(0, "10.0.0.1");
    pass(DNS_REFRESH_MIN_MS);
    expect([cache.size, wheel.size, asked, changed]).toEqual([0, 0, ["a"], []]);
  });

  test("warm() waits for the first answer or failure about each new name, and for nothing else", async () => {
    const { cache, answer, fail, clock } = made();
    let warm = false;
    void cache.warm(A)?.then(() => warm = true);
    await answer(60_000, "10.0.0.1");
    expect([warm, clock.pending]).toEqual([true, 1]);
    expect(cache.warm(A)).toBeNull();
    let other = false;
    void cache.warm(new Set(["a", "b"]))?.then(() => other = true);
    expect(other).toBe(false);
    await fail();
    expect(other).toBe(true);
  });

  test("warm() waits no longer than its time", async () => {
    const { cache, clock } = made();
    let warm = false;
    void cache.warm(A)?.then(() => warm = true);
    clock.advance(DNS_WARMUP_MAX_MS - 1);
    await Promise.resolve();
    expect(warm).toBe(false);
    clock.advance(1);
    await Promise.resolve();
    expect(warm).toBe(true);
  });

  test("firstAnswer() waits for the first of several that is heard of, as long as any is awaited", async () => {
    const { cache, answer, fail, clock, settle } = made();
    expect(cache.firstAnswer(["a"])).toBeNull();
    cache.retain(A);
    let heard = 0;
    void cache.firstAnswer(["a", "b"])?.then(() => heard++);
    await answer(60_000, "10.0.0.1");
    expect([heard, cache.firstAnswer(["a"])]).toEqual([1, null]);
    cache.retain(new Set(["a", "b"]));
    void cache.firstAnswer(["a", "b"])?.then(() => heard++);
    await fail();
    expect([heard, cache.firstAnswer(["a", "b"])]).toEqual([2, null]);
    cache.retain(new Set(["c"]));
    void cache.firstAnswer(["c"])?.then(() => heard++);
    clock.advance(DNS_FIRST_ANSWER_MAX_MS - 1);
    await settle();
    expect(heard).toBe(2);
    clock.advance(1);
    await settle();
    expect([heard, cache.firstAnswer(["c"])]).toEqual([3, null]);
  });

  test("firstAnswer() leaves nobody waiting for a name that no snapshot has any more", async () => {
    const { cache, settle } = made();
    cache.retain(A);
    let heard = false;
    void cache.firstAnswer(["a"])?.then(() => heard = true);
    cache.retain(new Set());
    await settle();
    expect(heard).toBe(true);
  });

  test("watches as many names as it may, and says which one is too many", () => {
    const { cache, warnings } = made();
    const names = (count: number) => new Set(Array.from({ length: count }, (_, i) => `n${i}`));
    cache.retain(names(DNS_NAMES_MAX));
    expect([cache.size, warnings]).toEqual([DNS_NAMES_MAX, []]);
    cache.retain(names(DNS_NAMES_MAX + 1));
    expect([cache.size, warnings.length]).toEqual([DNS_NAMES_MAX, 1]);
    expect(warnings[0]).toStartWith(`The name n${DNS_NAMES_MAX} is not looked up`);
  });
});
