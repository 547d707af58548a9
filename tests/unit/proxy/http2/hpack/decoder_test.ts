/** HpackDecoder against RFC 7541: the examples of Appendix C, and every way to be malformed. */
import { describe, expect, test } from "bun:test";
import { FieldKind } from "../../../../../src/proxy/http2/field_kind.ts";
import { HpackDecoder } from "../../../../../src/proxy/http2/hpack/decoder.ts";
import { decodeList, FieldList } from "./field_list.ts";
import { huffman } from "./huffman_code.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

const REQUESTS = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "/",
    ":authority",
    "www.example.com",
    "cache-control",
    "no-cache",
  ],
  [
    ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
    ...["custom-key", "custom-value"],
  ],
];
const RESPONSES = [
  [
    ":status",
    "302",
    "cache-control",
    "private",
    "date",
    "Mon, 21 Oct 2013 20:13:21 GMT",
    "location",
    "https://www.example.com",
  ],
  [
    ":status",
    "307",
    "cache-control",
    "private",
    "date",
    "Mon, 21 Oct 2013 20:13:21 GMT",
    "location",
    "https://www.example.com",
  ],
  [
    ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    ...["location", "https://www.example.com", "content-encoding", "gzip"],
    ...["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ],
];
/** Dynamic table size update to 256 (§6.3), as the examples of C.5 and C.6 assume. */
const TABLE_OF_256 = "3fe101";

const EXAMPLES: readonly (readonly [string, readonly string[], readonly string[][]])[] = [
  ["C.2.1", ["400a637573746f6d2d6b65790d637573746f6d2d686561646572"], [["custom-key", "custom-header"]]],
  ["C.2.2", ["040c2f73616d706c652f70617468"], [[":path", "/sample/path"]]],
  ["C.2.3", ["100870617373776f726406736563726574"], [["password", "secret"]]],
  ["C.2.4", ["82"], [[":method", "GET"]]],
  ["C.3", [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
  ], REQUESTS],
  ["C.4", [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
  ], REQUESTS],
  ["C.5", [
    TABLE_OF_256 +
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120" +
    "474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d" +
    "4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572" +
    "7369 6f6e 3d31",
  ], RESPONSES],
  ["C.6", [
    TABLE_OF_256 +
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad" +
    "1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf" +
    "cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
  ], RESPONSES],
];

describe("HpackDecoder", () => {
  test.each([...EXAMPLES])("decodes the examples of %s", (_name, blocks, lists) => {
    const decoder = new HpackDecoder();
    blocks.forEach((block, i) => expect(decodeList(decoder, hex(block))).toEqual(lists[i] as string[]));
  });

  test("evicts as the examples of C.5 do: the oldest entries are gone", () => {
    const decoder = new HpackDecoder();
    for (const block of EXAMPLES[6]?.[1] ?? []) decodeList(decoder, hex(block));
    // 62 set-cookie, 63 content-encoding, 64 date: 215 octets.
    expect(decodeList(decoder, hex("c0bfbe"))).toEqual([
      ...["date", "Mon, 21 Oct 2013 20:13:22 GMT", "content-encoding", "gzip"],
      ...["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ]);
    expect(decodeList(new HpackDecoder(), hex("c1"))).toBe("malformed");
    expect(decodeList(decoder, hex("c1"))).toBe("malformed");
  });

  test.each([
    ["a literal without indexing", "04 0161", [":path", "a"]],
    ["a literal that is never indexed", "14 0161", [":path", "a"]],
  ])("keeps %s out of the table", (_name, block, list) => {
    const decoder = new HpackDecoder();
    expect(decodeList(decoder, hex(block))).toEqual(list);
    expect(decodeList(decoder, hex("be"))).toBe("malformed");
  });

  test("a name from the dynamic table", () => {
    const decoder = new HpackDecoder();
    expect(decodeList(decoder, hex("40016101620f2f0163"))).toEqual(["a", "b", "a", "c"]);
    expect(decodeList(decoder, hex("7e0164be bf"))).toEqual(["a", "d", "a", "d", "a", "b"]);
  });

  test("an entry that evicts the one it takes its name from (§4.4)", () => {
    const decoder = new HpackDecoder();
    const value = "v".repeat(4_000);
    const literal = Buffer.concat([hex("400161 7fa11e"), Buffer.from(value)]);
    expect(decodeList(decoder, literal)).toEqual(["a", value]);
    expect(decodeList(decoder, Buffer.concat([hex("7e 7fa11e"), Buffer.from(value)]))).toEqual(["a", value]);
    expect(decodeList(decoder, hex("be"))).toEqual(["a", value]);
    expect(decodeList(decoder, hex("bf"))).toBe("malformed");
  });

  test("an entry larger than the table empties it, and is no error (§4.4)", () => {
    const decoder = new HpackDecoder();
    decodeList(decoder, hex("4001610162"));
    const value = "v".repeat(4_096 - 32);
    expect(decodeList(decoder, Buffer.concat([hex("400178 7fe11e"), Buffer.from(value)]))).toEqual([
      "x",
      value,
    ]);
    expect(decodeList(decoder, hex("be"))).toBe("malformed");
  });

  test("an entry exactly as large as the table is kept", () => {
    const decoder = new HpackDecoder();
    const value = "v".repeat(4_096 - 33);
    decodeList(decoder, Buffer.concat([hex("400178 7fe01e"), Buffer.from(value)]));
    expect(decodeList(decoder, hex("be"))).toEqual(["x", value]);
  });

  test("size updates: down and up again at the beginning of a block, up to what we allow (§4.2, §6.3)", () => {
    const decoder = new HpackDecoder();
    decodeList(decoder, hex("4001610162"));
    expect(decodeList(decoder, hex("20 3fe11f 4001630164 be"))).toEqual(["c", "d", "c", "d"]);
    expect(decodeList(decoder, hex("bf"))).toBe("malformed");
    expect(decodeList(new HpackDecoder(), hex("3fe11f"))).toEqual([]);
    expect(decodeList(new HpackDecoder(), hex("3fe21f"))).toBe("malformed");
    expect(decodeList(new HpackDecoder(), hex("82 20"))).toBe("malformed");
  });

  test("holds after thousands of entries", () => {
    const decoder = new HpackDecoder();
    for (let n = 0; n < 3_000; n++) {
      const value = String(n).padStart(5, "0");
      decodeList(decoder, Buffer.concat([hex("40016105"), Buffer.from(value)]));
      expect(decodeList(decoder, hex("be"))).toEqual(["a", value]);
      if (n > 100) expect(decodeList(decoder, hex("ff23"))).toEqual(["a", String(n - 100).padStart(5, "0")]);
    }
  });

  test.each([
    ["index 0", "80"],
    ["an index beyond both tables", "be"],
    ["a name beyond both tables", "7e0161"],
    ["an index that is cut off", "ff"],
    ["an integer of too many octets", "ffffffffffff0f"],
    ["an integer padded with empty octets", "ff8080808000"],
    ["a literal without its name", "40"],
    ["a literal without its value", "400161"],
    ["a name that is cut off", "40056162"],
    ["a value that is cut off", "4001610562"],
    ["a length that is cut off", "4001617f"],
    ["a size update that is cut off", "3f"],
    ["Huffman with EOS", "400161 84ffffffff"],
    ["Huffman with a whole octet of padding", "400161 82 07ff"],
  ])("malformed: %s", (_name, block) => {
    expect(decodeList(new HpackDecoder(), hex(block))).toBe("malformed");
  });

  test("integers at the limit of a prefix, and the largest that we take (§5.1)", () => {
    for (
      const [length, prefix] of [[126, "7e"], [127, "7f00"], [128, "7f01"], [254, "7f7f"], [
        255,
        "7f8001",
      ]] as const
    ) {
      const value = "v".repeat(length);
      expect(decodeList(new HpackDecoder(), Buffer.concat([hex(`000161${prefix}`), Buffer.from(value)])))
        .toEqual(
          ["a", value],
        );
    }
    expect(decodeList(new HpackDecoder(), hex("0001617fffffff7f"))).toBe("malformed");
  });

  test("Huffman in name and value", () => {
    const [name, value] = [huffman(Buffer.from("x-name")), huffman(Buffer.from("\xe9 \xff", "latin1"))];
    const block = Buffer.concat([
      hex("00"),
      Buffer.from([0x80 | name.length]),
      name,
      Buffer.from([0x80 | value.length]),
      value,
    ]);
    expect(decodeList(new HpackDecoder(), block)).toEqual(["x-name", "\xe9 \xff"]);
  });

  test("a literal that comes again, begins alike, or is longer than what is remembered", () => {
    const decoder = new HpackDecoder();
    const literal = (value: string) =>
      Buffer.concat([hex("04"), Buffer.from([value.length]), Buffer.from(value)]);
    for (
      const value of ["/ab", "/ab", "/a", "/abc", "/ab", "", "", "/\0", "/\0", "v".repeat(65), "v".repeat(65)]
    ) {
      expect(decodeList(decoder, literal(value))).toEqual([":path", value]);
    }
    decodeList(decoder, literal("/ab"));
    expect(decodeList(decoder, literal("/ab").subarray(0, 4))).toBe("malformed");
    const kinds = [literal("/a\n"), literal("/a\n")].map((block) => {
      const fields = new FieldList();
      decoder.decode(block, fields, 1e9, 1e9);
      return fields.kinds;
    });
    expect(kinds).toEqual([[FieldKind.Malformed], [FieldKind.Malformed]]);
  });

  test("a list that is too large is not kept, but the table is", () => {
    const decoder = new HpackDecoder();
    const block = hex("4001610162 4001630164");
    const fields = new FieldList();
    expect(decoder.decode(block, fields, 34, 100)).toBe("tooLarge");
    expect(fields.list).toEqual(["a", "b"]);
    expect(decodeList(decoder, hex("bebf"))).toEqual(["c", "d", "a", "b"]);
    expect(decodeList(new HpackDecoder(), block, 68, 2)).toEqual(["a", "b", "c", "d"]);
    expect(decodeList(new HpackDecoder(), block, 67, 2)).toBe("tooLarge");
    expect(decodeList(new HpackDecoder(), block, 68, 1)).toBe("tooLarge");
    expect(decodeList(new HpackDecoder(), hex("82868441016182"), 1e9, 0)).toHaveLength(10);
  });
});
