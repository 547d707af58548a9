import { DEFAULT_LIMITS } from "../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { HANDSHAKES_MAX, proxyCaps } from "../../../src/proxy/proxy_caps.ts";

describe("proxyCaps()", () => {
  test("proxyCaps() takes shares of the descriptors", () => {
    expect(proxyCaps(1_024)).toEqual({
      connections: 409,
      handshakes: 204,
      refused: 102,
      descriptors: 768,
      connecting: 204,
      connectingToOne: 153,
      requests: DEFAULT_LIMITS.requestsInFlight,
    });
  });

  test("proxyCaps() lets no number of descriptors make half-done handshakes dear", () => {
    expect(proxyCaps(HANDSHAKES_MAX * 5).handshakes).toBe(HANDSHAKES_MAX);
    expect(proxyCaps(HANDSHAKES_MAX * 5 - 1).handshakes).toBe(HANDSHAKES_MAX - 1);
    expect(proxyCaps(1_048_576)).toMatchObject({ connections: 419_430, handshakes: HANDSHAKES_MAX });
  });

  test("proxyCaps() is never nothing, and leaves some to others", () => {
    for (const max of [8, 64, 1_000, 65_536]) {
      const { requests: _, ...shares } = proxyCaps(max);
      expect(Math.min(...Object.values(shares))).toBeGreaterThan(0);
      expect(shares.descriptors + shares.connecting).toBeLessThan(max);
    }
  });
});
