import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fileSnapshots } from "../../../src/pilot/translate.ts";
import { loadDirectory, loadFiles, sourceFiles, TRUST_DOMAIN } from "./fixture.ts";

const GOLDEN = new URL("../../golden/pilot/", import.meta.url).pathname;

/** Rewritten by `deno task golden:update`. */
function expectGolden(name: string, value: unknown): void {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  if (process.env["GOLDEN_UPDATE"] === "1") writeFileSync(GOLDEN + name, text);
  expect(text).toBe(readFileSync(GOLDEN + name, "utf8"));
}

describe("translate()", () => {
  for (
    const [directory, workload, golden] of [
      ["config/tutorial/split-90-10", "tutorial/preference", "tutorial_preference.json"],
      ["config/tutorial/split-90-10", "tutorial/recommendation-v1", "tutorial_recommendation_v1.json"],
      ["config/tutorial/user-agent", "tutorial/preference", "safari_preference.json"],
      ["config/examples/egress-gateway", "edge/egress", "egress_gateway.json"],
      ["config/examples/destinations", "shop/web", "destinations_web.json"],
    ] as const
  ) {
    test(`translate() gives ${workload} in ${directory} its golden snapshot`, () => {
      const snapshot = fileSnapshots(loadDirectory(directory), TRUST_DOMAIN)(workload);
      expectGolden(golden, Object.fromEntries(snapshot ?? []));
    });
  }

  test("translate() gives the same versions whatever the order of files", () => {
    const files = sourceFiles("config/tutorial/split-90-10");
    const [forward, backward] = [files, files.toReversed()].map((ordered) => {
      const snapshot = fileSnapshots(loadFiles(ordered), TRUST_DOMAIN)("tutorial/customer") ?? [];
      return [...snapshot].map(([key, { version }]) => `${key} ${version}`).sort();
    });
    expect(forward?.length).toBe(17);
    expect(backward).toEqual(forward as string[]);
  });

  test("fileSnapshots() has nothing for a workload that is in no file", () => {
    expect(fileSnapshots(loadDirectory("config/tutorial/mesh"), TRUST_DOMAIN)("tutorial/nobody"))
      .toBeUndefined();
  });
});
