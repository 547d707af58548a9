/** Fields of HTTP/2 messages, sorted (RFC 9113 §8.2, §8.3). */
import { describe, expect, test } from "bun:test";
import { FieldKind, kindOfField, kindOfName } from "../../../../src/proxy/http2/field_kind.ts";
import { FieldSection } from "../../../../src/proxy/http2/field_section.ts";

function section(...list: string[]): FieldSection {
  const fields = new FieldSection();
  fields.begin();
  for (let i = 0; i < list.length; i += 2) {
    const [name, value] = list.slice(i, i + 2) as [string, string];
    fields.field(name, value, kindOfField(kindOfName(name), value));
  }
  return fields;
}

describe("kindOfName(), kindOfField()", () => {
  test.each([
    ["x", "y", FieldKind.Plain],
    ["x", "", FieldKind.Plain],
    ["x", "à", FieldKind.Plain],
    ["te", "trailers", FieldKind.Te],
    ["te", "gzip", FieldKind.Malformed],
    ["cookie", "a=b", FieldKind.Cookie],
    [":path", "/", FieldKind.Path],
    [":unknown", "/", FieldKind.Malformed],
    ["", "y", FieldKind.Malformed],
    ["X", "y", FieldKind.Malformed],
    ["connection", "close", FieldKind.Malformed],
    ["upgrade", "websocket", FieldKind.Malformed],
    ["x", " y", FieldKind.Malformed],
    ["x", "y\t", FieldKind.Malformed],
    ["x", "a\r\nb", FieldKind.Malformed],
    ["x", "a\0b", FieldKind.Malformed],
  ])("%p: %p", (name, value, kind) => expect(kindOfField(kindOfName(name), value)).toBe(kind));
});

describe("FieldSection", () => {
  test("remembers which fields came never indexed, but for those that nobody indexes", () => {
    const fields = section("x", "y");
    expect(fields.secrets).toBeNull();
    fields.neverIndexed("authorization");
    expect(fields.secrets).toBeNull();
    fields.neverIndexed("x-key");
    expect([...fields.secrets ?? []]).toEqual(["x-key"]);
    fields.begin();
    expect(fields.secrets).toBeNull();
  });

  test("tells a request, a response and trailers from each other, and all of them from what is none", () => {
    const verdict = (...list: string[]) => {
      const { isRequest, isResponse, isTrailers } = section(...list);
      return [isRequest, isResponse, isTrailers];
    };
    expect(verdict(":method", "GET", "x", "y")).toEqual([true, false, false]);
    expect(verdict(":status", "200", "x", "y")).toEqual([false, true, false]);
    expect(verdict("grpc-status", "0")).toEqual([true, false, true]);
    expect(verdict("grpc-status", "0", "content-length", "0")).toEqual([true, false, false]);
    expect(verdict("grpc-status", "0", "host", "a")).toEqual([true, false, false]);
    expect(verdict(":status", "200", ":path", "/")).toEqual([false, false, false]);
  });

  test.each([
    ["a pseudo-header field twice", [":path", "/", ":path", "/"]],
    ["a pseudo-header field behind another one", ["x", "y", ":path", "/"]],
    ["a pseudo-header field behind content-length", ["content-length", "1", ":path", "/"]],
    ["two hosts", ["host", "a", "host", "a"]],
    ["two lengths", ["content-length", "1", "content-length", "2"]],
    ["a length that is none", ["content-length", "+1"]],
    ["a field that is malformed", ["x", " y"]],
  ])("%s: malformed", (_what, list) => expect(section(...list).malformed).toBe(true));

  test("takes out what has a place of its own, and puts crumbs of a cookie together", () => {
    const fields = section(
      "a",
      "b",
      "cookie",
      "c=1",
      "te",
      "trailers",
      "cookie",
      "d=2",
      "content-length",
      "7",
    );
    expect(fields.headers).toEqual(["a", "b", "cookie", "c=1; d=2"]);
    expect(fields.contentLength).toBe(7);
    fields.begin();
    expect([fields.headers, fields.contentLength, fields.malformed]).toEqual([[], -1, false]);
  });
});
