import { describe, expect, test } from "bun:test";
import { bowline } from "../bowline.ts";

describe("bowline demo CHAPTER", () => {
  test("demo of a chapter that there is not ends with 64 and names the one that was meant", async () => {
    const { exitCode, stderr } = await bowline(["demo", "mirroing"]);
    expect(exitCode).toBe(64);
    expect(stderr).toBe('Error: The tutorial has no chapter "mirroing"\n  did you mean mirroring?\n');
  });

  test("demo of a chapter that is like no other ends with 64 and names them all", async () => {
    const { exitCode, stderr } = await bowline(["demo", "zzz"]);
    expect(exitCode).toBe(64);
    expect(stderr).toContain("\n  there are all-to-v2, all-to-v1, ");
  });

  test("demo does not take a chapter and --config together", async () => {
    const { exitCode, stderr } = await bowline(["demo", "retry", "--config", "config/tutorial/mesh"]);
    expect(exitCode).toBe(64);
    expect(stderr).toContain("exclude each other");
  });
});
