/** RFC 7541 §6.2.3: what came never indexed leaves so on the next hop, whatever the field. */
import { expect, test } from "bun:test";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { encodeRequestHead, encodeResponseHead } from "../../../../src/proxy/http2/heads.ts";
import { HpackDecoder } from "../../../../src/proxy/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../../../src/proxy/http2/hpack/encoder.ts";
import { Http2Downstream } from "./downstream.ts";
import { FieldList } from "./hpack/field_list.ts";
import { END_HEADERS, END_STREAM, get, HEADERS, literals, raw } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

/** The names that a head leaves with as never indexed. */
function secretsOf(encode: (encoder: HpackEncoder) => void): string[] {
  const encoder = new HpackEncoder();
  encode(encoder);
  const fields = new FieldList();
  new HpackDecoder().decode(Buffer.from(encoder.bytes.subarray(0, encoder.length)), fields, 1e6, 1e3);
  return fields.secrets;
}

function neverIndexed(name: string, value: string): Buffer {
  const encoder = new HpackEncoder();
  encoder.begin();
  encoder.secretField(name, value);
  return Buffer.from(encoder.bytes.subarray(0, encoder.length));
}

async function requestWith(...fields: Buffer[]): Promise<RequestHead> {
  const down = await Http2Downstream.greeted();
  down.send(raw(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat(fields)));
  return down.last.head;
}

test("a field of a request", async () => {
  const head = await requestWith(literals(get("x", "y")), neverIndexed("x-key", "s"));
  expect(head.headers).toContain("x-key");
  expect(secretsOf((encoder) => encodeRequestHead(encoder, head))).toEqual(["x-key"]);
});

test("the path, which stands in no list of fields", async () => {
  const rest = literals([":method", "GET", ":scheme", "http", ":authority", "a"]);
  const head = await requestWith(rest, neverIndexed(":path", "/secret"));
  expect(head.path).toBe("/secret");
  expect(secretsOf((encoder) => encodeRequestHead(encoder, head))).toEqual([":path"]);
});

test("nothing of a request that asks for nothing, and what is secret anyway", async () => {
  const plain = await requestWith(literals(get("x", "y")));
  expect(secretsOf((encoder) => encodeRequestHead(encoder, plain))).toEqual([]);
  const known = await requestWith(literals(get("authorization", "s")));
  expect(known.neverIndexed).toBeUndefined();
  expect(secretsOf((encoder) => encodeRequestHead(encoder, known))).toEqual(["authorization"]);
});

test("a field of a response", async () => {
  const up = await Http2Upstream.greeted();
  const { response } = up.request();
  const block = Buffer.concat([literals([":status", "200"]), neverIndexed("x-key", "s")]);
  up.answer(raw(HEADERS, END_HEADERS | END_STREAM, 1, block));
  const head = response.head;
  if (head === null) throw new Error("No response came");
  expect(secretsOf((encoder) => encodeResponseHead(encoder, head, true, "now"))).toEqual(["x-key"]);
});
