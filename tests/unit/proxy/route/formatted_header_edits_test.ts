/** Values of headers that are made for each request. */
import { describe, expect, test } from "bun:test";
import type { FormattedHeader, HeaderEdits } from "../../../../src/model/route.ts";
import type { FormattedCall } from "../../../../src/proxy/route/formatted_header_edits.ts";
import { CompiledHeaderEdits } from "../../../../src/proxy/route/header_edits.ts";

const HEAD: FormattedCall["head"] = {
  method: "PUT",
  scheme: "http",
  authority: "shop:80",
  path: "/a?b=c",
  headers: ["x-user", "alice", "x-old", "1"],
  bodyLength: 0,
};

const CALL: FormattedCall = {
  head: HEAD,
  clientAddress: "10.0.0.1",
  startedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  answer: { status: 503, headers: ["x-up", "yes"] },
};

const set = (name: string, text: string): FormattedHeader => ({ name, replaces: true, text });
const add = (name: string, text: string): FormattedHeader => ({ name, replaces: false, text });

function edited(headers: readonly string[], edits: Partial<HeaderEdits>, call = CALL): string[] {
  const copy = [...headers];
  const compiled = new CompiledHeaderEdits({ set: [], add: [], remove: [], ...edits });
  compiled.apply(copy, { formattedCall: () => call });
  return copy;
}

/** What a format comes to; null: the header is not there. */
function made(text: string, call: Partial<FormattedCall> = {}): string | null {
  return edited([], { formatted: [set("a", text)] }, { ...CALL, ...call })[1] ?? null;
}

describe("FormattedHeaderEdits", () => {
  test.each([
    ["%REQ(x-user)%", "alice"],
    ["%REQ(X-User):3%", "ali"],
    ["%REQ(x-none?x-user)%!", "alice!"],
    [
      "%REQ(:method)% %REQ(:scheme)% %REQ(:authority)% %REQ(host)% %REQ(:path)%",
      "PUT http shop:80 shop:80 /a?b=c",
    ],
    ["%PROTOCOL%", "HTTP/1.1"],
    ["%START_TIME%", "2026-01-02T03:04:05.006Z"],
    ["%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"],
    ["%RESPONSE_CODE% %RESP(x-up)% %RESP(x-down)%", "503 yes "],
    ["100%% of %%REQ(x-user)%%, %REQ(x-user)%%%", "100% of %REQ(x-user)%, alice%"],
    ["%REQ(x-none)%", null],
  ])("apply() makes of %s %p", (text, expected) => {
    expect(made(text)).toBe(expected);
  });

  test("apply() makes nothing of what is not known", () => {
    expect(made("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", { clientAddress: null })).toBeNull();
    expect(made("%RESPONSE_CODE%%RESP(x-up)%", { answer: null })).toBeNull();
    expect(made("%PROTOCOL%", { head: { ...HEAD, http2: true } })).toBe("HTTP/2");
  });

  test("apply() removes before values are made, replaces then, and appends at last", () => {
    const headers = ["a", "1", "b", "2", "c", "3"];
    const head = { ...HEAD, headers };
    const edits = {
      remove: ["a"],
      set: [["b", "set"]] as const,
      add: [["d", "added"]] as const,
      formatted: [set("c", "<%REQ(b)%%REQ(c)%%REQ(a)%>"), add("d", "%REQ(:method)%"), set("e", "%REQ(a)%")],
    };
    const compiled = new CompiledHeaderEdits(edits);
    compiled.apply(headers, { formattedCall: () => ({ ...CALL, head }) });
    expect(headers).toEqual(["b", "set", "c", "<23>", "d", "added", "d", "PUT"]);
  });

  test("apply() leaves what is there where a value comes to nothing, and names that nobody may change", () => {
    expect(edited(["a", "1"], { formatted: [set("a", "%REQ(x-none)%"), set("host", "%PROTOCOL%")] })).toEqual(
      [
        "a",
        "1",
      ],
    );
  });

  test("a format that a later version knows is refused as a whole", () => {
    expect(() => edited([], { formatted: [set("a", "%LATER%")] })).toThrow("%LATER%");
  });
});
