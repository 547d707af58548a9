import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CLOCK_SKEW_S } from "../../../../src/citadel/platform/platform_tokens.ts";
import { UsedTokens } from "../../../../src/citadel/platform/used_tokens.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { privateFiles } from "../../../../src/runtime/private_files.ts";
import { freshDirectory, removeDirectories, START_MS } from "../test_citadel.ts";

afterAll(removeDirectories);

const EXP = START_MS / 1000 + 60;
const [MINE, OTHERS] = ["0a".repeat(32), "0b".repeat(32)];

describe("UsedTokens", () => {
  test("UsedTokens.use() binds a token to the key that came first, after a restart too", async () => {
    const directory = join(freshDirectory(), "platform");
    const clock = new ManualClock(START_MS);
    const open = () => UsedTokens.open(directory, privateFiles, clock);
    const used = await open();
    expect(await used.use("issuer", "1", EXP, MINE)).toBe(true);
    for (const each of [used, await open()]) {
      expect(await each.use("issuer", "1", EXP, MINE)).toBe(true);
      expect(await each.use("issuer", "1", EXP, OTHERS)).toBe(false);
    }
    expect(await used.use("another issuer", "1", EXP, OTHERS)).toBe(true);
    expect(await used.use("issuer", "2", EXP, OTHERS)).toBe(true);
  });

  test("UsedTokens.use() lets exactly one of 50 keys have it", async () => {
    const used = await UsedTokens.open(
      join(freshDirectory(), "platform"),
      privateFiles,
      new ManualClock(START_MS),
    );
    const keys = Array.from({ length: 50 }, (_, i) => i.toString(16).padStart(64, "0"));
    const got = await Promise.all(keys.map((key) => used.use("issuer", "1", EXP, key)));
    expect(got.filter((one) => one)).toHaveLength(1);
  });

  test("UsedTokens forgets what has expired, and no sooner than nobody's clock would take it", async () => {
    const directory = join(freshDirectory(), "platform");
    const clock = new ManualClock(START_MS);
    await (await UsedTokens.open(directory, privateFiles, clock)).use("issuer", "1", EXP, MINE);
    for (const [atS, left] of [[EXP + CLOCK_SKEW_S, 2], [EXP + CLOCK_SKEW_S + 1, 2]] as const) {
      clock.advance(atS * 1000 - clock.now());
      await (await UsedTokens.open(directory, privateFiles, clock)).use(
        "issuer",
        String(atS),
        atS + 60,
        MINE,
      );
      expect(readdirSync(directory)).toHaveLength(left);
    }
  });
});
