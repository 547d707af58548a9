import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { createLog } from "../../../src/telemetry/log.ts";

function lines(format: "json" | "text") {
  const written: string[] = [];
  const log = createLog({ clock: new ManualClock(0), format, write: (line) => written.push(line) });
  return { log, written };
}

describe("createLog()", () => {
  test("createLog() writes one JSON object a line", () => {
    const { log, written } = lines("json");
    log.info("It began", { port: 80, name: "a", ok: true, gone: null });
    log.warn("It went on");
    log.error("It ended");
    expect(written.map((line) => JSON.parse(line))).toEqual([
      {
        time: "1970-01-01T00:00:00.000Z",
        level: "info",
        message: "It began",
        port: 80,
        name: "a",
        ok: true,
        gone: null,
      },
      { time: "1970-01-01T00:00:00.000Z", level: "warn", message: "It went on" },
      { time: "1970-01-01T00:00:00.000Z", level: "error", message: "It ended" },
    ]);
    for (const line of written) expect(line.indexOf("\n")).toBe(line.length - 1);
  });

  test("createLog() writes plain text for people", () => {
    const { log, written } = lines("text");
    log.info("It began", { port: 80, name: "a b" });
    expect(written).toEqual(['1970-01-01T00:00:00.000Z info  It began port=80 name="a b"\n']);
  });

  test.each(["json", "text"] as const)("createLog() leaves out a field without a value, in %s", (format) => {
    const { log, written } = lines(format);
    const joiner: { workload: string; group?: string } = Object.assign({ workload: "a" }, {
      group: undefined,
    });
    log.info("It began", { ...joiner });
    expect(written[0]).not.toContain("group");
  });

  test.each(["json", "text"] as const)("createLog() keeps a peer's text on its line, in %s", (format) => {
    const { log, written } = lines(format);
    const evil = "x\n1970 error forged\r\x1b[31m\x9b31m\x7f\u2028";
    log.warn(`Refused: ${evil}`, { peer: evil });
    expect(written).toHaveLength(1);
    // No line of its own, and nothing that a terminal obeys.
    expect(written[0]?.slice(0, -1)).not.toMatch(format === "json" ? /[\x00-\x1f]/ : /[\x00-\x1f\x7f-\x9f]/);
  });

  test("createLog() says how many lines nobody took, as soon as somebody does again", () => {
    const written: string[] = [];
    let taken = true;
    const write = (line: string) => {
      if (taken) written.push(JSON.parse(line).message + (JSON.parse(line).lines ?? ""));
      return taken;
    };
    const log = createLog({ clock: new ManualClock(0), format: "json", write });
    log.info("one");
    taken = false;
    for (let i = 0; i < 3; i++) log.info("lost");
    taken = true;
    log.info("two");
    log.info("three");
    expect(written).toEqual(["one", "Lines are missing here: nobody took them3", "two", "three"]);
  });
});
