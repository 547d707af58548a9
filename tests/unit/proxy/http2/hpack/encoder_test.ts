/** HpackEncoder: what it says, and that our decoder and those of others understand it. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HpackDecoder } from "../../../../../src/proxy/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../../../../src/proxy/http2/hpack/encoder.ts";
import { decodeList, FieldList } from "./field_list.ts";

function encode(encoder: HpackEncoder, ...list: string[]): Buffer {
  encoder.begin();
  for (let i = 0; i < list.length; i += 2) encoder.field(list[i] as string, list[i + 1] as string);
  return Buffer.from(encoder.bytes.subarray(0, encoder.length));
}

describe("HpackEncoder", () => {
  test("uses the static table, and its own for what comes again", () => {
    const encoder = new HpackEncoder();
    expect(encode(encoder, ":method", "GET", ":path", "/", ":status", "204").toString("hex")).toBe("828489");
    expect(encode(encoder, "x", "y", "x", "y").toString("hex")).toBe("40017801" + "79" + "be");
    expect(encode(encoder, "x", "y").toString("hex")).toBe("be");
    expect(encode(encoder, "server", "a", "x", "y", "server", "a").toString("hex")).toBe(
      "76" + "0161" + "bf" + "be",
    );
  });

  test.each(["authorization", "cookie", "proxy-authorization"])(
    "never indexes %s, and says so to everybody (§7.1.3)",
    (name) => {
      const encoder = new HpackEncoder();
      const block = encode(encoder, name, "secret");
      expect((block[0] as number) & 0xf0).toBe(0x10);
      expect(encode(encoder, name, "secret")).toEqual(block);
      const decoder = new HpackDecoder();
      expect(decodeList(decoder, block)).toEqual([name, "secret"]);
      expect(decodeList(decoder, Buffer.from([0xbe]))).toBe("malformed");
    },
  );

  test("leaves out of its table what came never indexed, whatever it is, and says so on (§6.2.3)", () => {
    const encoder = new HpackEncoder();
    const secret = (name: string) => {
      encoder.begin();
      encoder.secretField(name, "s");
      return Buffer.from(encoder.bytes.subarray(0, encoder.length));
    };
    expect(secret("x-key").toString("hex")).toBe("1005782d6b65790173");
    expect(secret("x-key").toString("hex")).toBe("1005782d6b65790173");
    // Names that a table has are taken from there.
    expect(secret(":path").toString("hex")).toBe("140173");
    encode(encoder, "x-key", "s");
    expect(secret("x-key").toString("hex")).toBe("1f2f0173");
    const decoder = new HpackDecoder();
    const fields = new FieldList();
    expect(decoder.decode(secret(":path"), fields, 100, 100)).toBe("ok");
    expect([fields.list, fields.secrets]).toEqual([[":path", "s"], [":path"]]);
  });

  test.each(["x-request-id", "traceparent", "set-cookie"])(
    "does not index %s, which differs every time",
    (name) => {
      const encoder = new HpackEncoder();
      // A name that no table has is put there with its first value.
      encode(encoder, name, "first");
      const block = encode(encoder, name, "something");
      expect((block[0] as number) & 0xf0).toBe(0);
      expect(encode(encoder, name, "something")).toEqual(block);
    },
  );

  test.each([":path", "content-length"])("indexes %s once the value comes again soon", (name) => {
    const encoder = new HpackEncoder();
    const hexOf = (value: string) => encode(encoder, name, value).toString("hex");
    const first = hexOf("1");
    expect(Number.parseInt(first.slice(0, 2), 16) & 0xf0).toBe(0);
    for (const other of ["2", "3", "4", "5"]) hexOf(other);
    // Four others have pushed it out.
    expect(hexOf("1")).toBe(first);
    expect(Number.parseInt(hexOf("1").slice(0, 2), 16) & 0xc0).toBe(0x40);
    expect(hexOf("1")).toBe("be");
    const long = "v".repeat(257);
    expect(hexOf(long)).toBe(hexOf(long));
    expect(hexOf("v".repeat(256))).not.toBe(hexOf("v".repeat(256)));
  });

  test("a name that no table has is sent once, whatever becomes of its values", () => {
    const encoder = new HpackEncoder();
    expect(encode(encoder, "traceparent", "a").toString("latin1")).toBe("\x40\x0btraceparent\x01a");
    expect(encode(encoder, "traceparent", "b", "x", "y").toString("hex")).toBe(
      "0f2f0162" + "40017801" + "79",
    );
    expect(encode(encoder, "x", "z", "traceparent", "c").toString("hex")).toBe("7e017a" + "0f310163");
    // Evicted, it must be sent anew.
    encode(encoder, "big", "v".repeat(4_000));
    expect(encode(encoder, "traceparent", "d").toString("latin1")).toBe("\x40\x0btraceparent\x01d");
  });

  test("announces a smaller table at the beginning of the next block, once (§4.2)", () => {
    const encoder = new HpackEncoder();
    encode(encoder, "x", "y");
    encoder.setTableSize(0);
    expect(encode(encoder, "x", "y").toString("hex")).toBe("20" + "4001780179");
    expect(encode(encoder, ":method", "GET").toString("hex")).toBe("82");
  });

  test("announces the lowest and then the last of several sizes between two blocks (§4.2)", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    decodeList(decoder, encode(encoder, "x", "y"));
    encoder.setTableSize(100);
    encoder.setTableSize(50);
    encoder.setTableSize(2_000);
    const block = encode(encoder, "x", "y");
    expect(block.subarray(0, 5).toString("hex")).toBe("3f13" + "3fb10f");
    expect(decodeList(decoder, block)).toEqual(["x", "y"]);
    expect(encode(encoder, "x", "y").toString("hex")).toBe("be");
  });

  test("down to nothing and up again: the other side has forgotten, and so have we", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    decodeList(decoder, encode(encoder, "x", "y"));
    encoder.setTableSize(0);
    encoder.setTableSize(4_096);
    const block = encode(encoder, "x", "y");
    expect(block.toString("hex")).toBe("20" + "3fe11f" + "4001780179");
    expect(decodeList(decoder, block)).toEqual(["x", "y"]);
  });

  test("uses no more than the default, however much the peer offers", () => {
    const encoder = new HpackEncoder();
    encoder.setTableSize(1_000_000);
    expect(encode(encoder, ":method", "GET").toString("hex")).toBe("82");
  });

  test("a field of nothing at all, where a literal stood in the block before", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (const list of [["", "x", ":method", "GET"], ["", ""]]) {
      expect(decodeList(decoder, encode(encoder, ...list))).toEqual(list);
    }
  });

  test("an entry larger than the table", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const large = "v".repeat(5_000);
    expect(decodeList(decoder, encode(encoder, "x", "y", "big", large, "x", "y"))).toEqual([
      "x",
      "y",
      "big",
      large,
      "x",
      "y",
    ]);
    expect(decodeList(decoder, encode(encoder, "big", large, "x", "y"))).toEqual(["big", large, "x", "y"]);
  });

  test("does not keep names that it does not need", () => {
    const encoder = new HpackEncoder();
    const before = memory();
    for (let n = 0; n < 200_000; n++) encode(encoder, `x-${n}`, `value ${n}`);
    expect(memory() - before).toBeLessThan(3_000_000);
  });

  test("whatever is encoded is decoded, with table sizes that change (property)", () => {
    const names = fc.oneof(
      fc.constantFrom(
        ":method",
        ":path",
        ":status",
        "cookie",
        "server",
        "x",
        "y",
        "date",
        "authorization",
        "set-cookie",
        "via",
      ),
      fc.stringMatching(/^[a-z-]{1,12}$/),
    );
    const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    const values = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("", "/", "GET", "200", "a", "b", "gzip, deflate") },
      { weight: 3, arbitrary: latin1 },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 5_000 }).map((length) => "z".repeat(length)) },
    );
    const list = fc.array(fc.tuple(names, values), { maxLength: 15 }).map((fields) => fields.flat());
    const sizes = fc.array(fc.oneof(fc.constantFrom(0, 4_096), fc.integer({ min: 0, max: 5_000 })), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(sizes, list), { maxLength: 40 }), (blocks) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const [tableSizes, fields] of blocks) {
          for (const size of tableSizes) encoder.setTableSize(size);
          expect(decodeList(decoder, encode(encoder, ...fields))).toEqual(fields);
        }
      }),
      { seed: 7_541, numRuns: 400 },
    );
  });
});

function memory(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
