import { describe, expect, test } from "bun:test";
import type { HeaderEdits } from "../../../../src/model/route.ts";
import { CompiledHeaderEdits } from "../../../../src/proxy/route/header_edits.ts";

const CALL = {
  formattedCall: (): never => {
    throw new Error("Nothing is made for each request");
  },
};

function edited(headers: string[], edits: Partial<HeaderEdits>): string[] {
  const copy = [...headers];
  new CompiledHeaderEdits({ set: [], add: [], remove: [], ...edits }).apply(copy, CALL);
  return copy;
}

describe("CompiledHeaderEdits", () => {
  test("apply() replaces every field of a name that is set, and appends what is added", () => {
    expect(edited(["a", "1", "b", "2", "a", "3"], { set: [["a", "4"]] })).toEqual(["b", "2", "a", "4"]);
    expect(edited(["a", "1"], { add: [["a", "2"], ["b", "3"]] })).toEqual(["a", "1", "a", "2", "b", "3"]);
  });

  test("apply() removes first, sets then and adds at last, whatever the order in the file", () => {
    const edits: HeaderEdits = { remove: ["a"], add: [["a", "added"]], set: [["a", "set"]] };
    expect(edited(["a", "1"], edits)).toEqual(["a", "set", "a", "added"]);
  });

  test("apply() lets the last of two sets count", () => {
    expect(edited([], { set: [["a", "1"], ["a", "2"]] })).toEqual(["a", "2"]);
  });

  test("apply() sets no header to nothing, as in Envoy", () => {
    expect(edited(["a", "1"], { set: [["a", ""]], add: [["b", ""]] })).toEqual(["a", "1"]);
  });

  test.each([":path", "host", "content-length", "transfer-encoding", "connection", "x-bowline-port"])(
    "apply() leaves %s alone",
    (name) => {
      const headers = [name, "1", "b", "2"];
      expect(edited(headers, { set: [[name, "x"]], add: [[name, "y"]], remove: [name] })).toEqual(headers);
    },
  );
});
