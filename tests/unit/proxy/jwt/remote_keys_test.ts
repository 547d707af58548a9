/** Keys that a server has: when it is asked, how long an answer holds, and that nothing takes its place. */
import { beforeAll, describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { KeyServerError } from "../../../../src/proxy/jwt/key_request.ts";
import type { KeySet } from "../../../../src/proxy/jwt/key_set.ts";
import {
  KEYS_FRESH_MS,
  KEYS_REFRESH_MS,
  KEYS_STALE_MAX_MS,
  RemoteKeys,
  UNKNOWN_KEY_INTERVAL_MS,
} from "../../../../src/proxy/jwt/remote_keys.ts";
import { ISSUER, jwksOf, key } from "./tokens.ts";

let first: string;
let second: string;

beforeAll(async () => {
  first = jwksOf(await key("ES256", "first"));
  second = jwksOf(await key("ES256", "second"));
});

class Server {
  readonly clock = new ManualClock(0);
  readonly warnings: string[] = [];
  readonly news: string[] = [];
  /** What it answers next; null: nothing but failure. */
  answer: string | null = first;
  asked = 0;
  readonly keys = new RemoteKeys({
    clock: this.clock,
    random: new Prng(1),
    issuer: ISSUER,
    ask: () => {
      this.asked++;
      return this.answer === null
        ? Promise.reject(new KeyServerError("the answer is 500"))
        : Promise.resolve(this.answer);
    },
    warn: (message) => void this.warnings.push(message),
    info: (message) => void this.news.push(message),
  });

  /** Which key the set has that is to be verified by. */
  async has(): Promise<string | null> {
    return nameOf(await this.keys.current());
  }
}

function nameOf(keys: KeySet | null): string | null {
  if (keys === null) return null;
  return ["first", "second"].find((kid) => keys.find({ alg: "ES256", kid }) !== null) ?? "none";
}

describe("RemoteKeys", () => {
  test("asks once for all who wait, and then not for a while", async () => {
    const server = new Server();
    const waiting = Array.from({ length: 50 }, () => server.has());
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["first"]));
    server.clock.advance(KEYS_REFRESH_MS - 1);
    expect(server.keys.current()).not.toBeInstanceOf(Promise);
    expect(server.asked).toBe(1);
  });

  test("asks anew before the keys are old, while the old ones serve", async () => {
    const server = new Server();
    await server.has();
    server.clock.advance(KEYS_REFRESH_MS);
    server.answer = second;
    expect(nameOf(server.keys.current() as KeySet)).toBe("first");
    expect(server.asked).toBe(2);
    await Bun.sleep(0);
    expect(nameOf(server.keys.current() as KeySet)).toBe("second");
  });

  test("after a silence too long for that, whoever comes waits for new ones", async () => {
    const server = new Server();
    await server.has();
    server.clock.advance(KEYS_FRESH_MS);
    server.answer = second;
    expect(server.keys.current()).toBeInstanceOf(Promise);
    expect(await server.has()).toBe("second");
  });

  test("the same answer is the same set, so that verified tokens stay verified", async () => {
    const server = new Server();
    const before = await server.keys.current();
    server.clock.advance(KEYS_FRESH_MS);
    expect(await server.keys.current()).toBe(before as KeySet);
  });

  test("before there was an answer there is no key, whatever the server says", async () => {
    for (
      const answer of [null, "garbage", "{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}', "[]"]
    ) {
      const server = new Server();
      server.answer = answer;
      expect(await server.has()).toBeNull();
      expect(server.keys.current()).toBeNull();
      expect(server.asked).toBe(1);
      expect(server.warnings[0]).toContain("its tokens are refused");
      server.answer = first;
      server.clock.advance(30_000);
      expect(await server.has()).toBe("first");
    }
  });

  test("a server that fails is not waited for as long as the last good keys may serve, and then nothing is", async () => {
    const server = new Server();
    await server.has();
    server.answer = null;
    server.clock.advance(KEYS_FRESH_MS);
    expect(await server.has()).toBe("first");
    expect(server.warnings).toEqual([
      `No keys of the issuer "${ISSUER}": the answer is 500; ` +
      "its tokens are verified by the keys of 5 min ago, for 60 min at most",
    ]);
    server.clock.advance(60_000);
    expect(nameOf(server.keys.current() as KeySet)).toBe("first");
    server.clock.advance(KEYS_STALE_MAX_MS - KEYS_FRESH_MS - 60_000 - 1);
    expect(await server.has()).toBe("first");
    await Bun.sleep(0);
    server.clock.advance(1);
    expect(await server.has()).toBeNull();
    server.clock.advance(60_000);
    expect(await server.has()).toBeNull();
    server.answer = second;
    server.clock.advance(60_000);
    expect(await server.has()).toBe("second");
  });

  test("says once that the keys are there again, and since when they were not", async () => {
    const server = new Server();
    await server.has();
    server.answer = null;
    server.clock.advance(KEYS_FRESH_MS);
    for (let second = 0; second < 90; second++) {
      await server.has();
      server.clock.advance(1_000);
    }
    expect(server.news).toEqual([]);
    server.answer = first;
    server.clock.advance(30_000);
    for (let look = 0; look < 2; look++) await server.has();
    await Bun.sleep(0);
    expect(server.news).toEqual([
      `The keys of the issuer "${ISSUER}" are there again, after 120 s of failures`,
    ]);
    server.clock.advance(KEYS_FRESH_MS);
    await server.has();
    expect(server.news).toHaveLength(1);
  });

  test("a server that fails is asked again, and less and less often", async () => {
    const server = new Server();
    server.answer = null;
    for (let second = 0; second < 600; second++) {
      await server.has();
      server.clock.advance(1_000);
    }
    expect(server.asked).toBeGreaterThan(15);
    expect(server.asked).toBeLessThan(50);
  });

  test("unknown keys make it ask once in a while", async () => {
    const server = new Server();
    const old = await server.keys.current() as KeySet;
    server.answer = second;
    expect(server.keys.renewed(old)).toBeNull();
    server.clock.advance(UNKNOWN_KEY_INTERVAL_MS - 1);
    expect(server.keys.renewed(old)).toBeNull();
    server.clock.advance(1);
    const asked = Array.from({ length: 50 }, () => server.keys.renewed(old));
    expect(new Set(await Promise.all(asked.map(async (one) => nameOf(await one))))).toEqual(
      new Set(["second"]),
    );
    expect(server.asked).toBe(2);
    // Somebody who still holds the old set need not ask.
    expect(nameOf(await server.keys.renewed(old))).toBe("second");
    expect(server.asked).toBe(2);
  });
});
