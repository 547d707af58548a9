import { describe, expect, test } from "bun:test";
import { newsOf } from "../../../../src/cli/demo/news.ts";

function line(entry: Record<string, unknown>): string {
  return JSON.stringify({ time: "2026-01-01T00:00:00.000Z", level: "info", ...entry });
}

describe("newsOf()", () => {
  test("tells of an edit that loaded, once the mesh is up", () => {
    const loaded = line({ message: "Loaded the configuration", generation: 2, files: 3 });
    expect(newsOf(loaded, true)).toBe("Loaded the configuration (generation 2)");
    expect(newsOf(loaded, false)).toBeNull();
  });

  test("tells of an edit that was refused, and why", () => {
    const refused = line({ level: "error", message: "Refused it", generation: 2 });
    expect(newsOf(refused, true)).toBe("Refused it (generation 2)");
    expect(newsOf(line({ level: "error", message: "Refused it" }), false)).toBe("Refused it");
    expect(newsOf(line({ level: "error", message: "a.yaml:1:1: error" }), false)).toBe("a.yaml:1:1: error");
    expect(newsOf(line({ level: "warn", message: "a.yaml:1:1: warning" }), true)).toBe("a.yaml:1:1: warning");
  });

  test("leaves out what is no news of the configuration", () => {
    expect(newsOf(line({ message: "Enrolled a workload" }), true)).toBeNull();
    expect(newsOf("Error: the process ends", true)).toBeNull();
  });
});
