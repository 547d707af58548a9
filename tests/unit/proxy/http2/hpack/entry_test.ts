/** Literals that a decoder compares the next ones with: all connections share those of the static table's names. */
import { describe, expect, test } from "bun:test";
import { HpackDecoder } from "../../../../../src/proxy/http2/hpack/decoder.ts";
import { newEntry, newName, remember, STATIC_ENTRIES } from "../../../../../src/proxy/http2/hpack/entry.ts";
import { STATIC_NAMES } from "../../../../../src/proxy/http2/hpack/static_table.ts";
import { decodeList } from "./field_list.ts";

const CANARY = "canary-4f1d";
const PATTERNS = { indexed: 0x40, literal: 0x00, never: 0x10 } as const;

/** A literal field whose name is that entry of the static table. */
function literal(pattern: number, index: number, value: string): Buffer {
  const mask = pattern === PATTERNS.indexed ? 0x3f : 0x0f;
  const prefix = index < mask ? [pattern | index] : [pattern | mask, index - mask];
  return Buffer.concat([Buffer.from([...prefix, value.length]), Buffer.from(value)]);
}

function remembered(): string[] {
  return STATIC_ENTRIES.flatMap((entry) => {
    const last = entry?.named.last ?? null;
    return last !== null && last.value.includes(CANARY) ? [last.named.name] : [];
  });
}

function plant(name: string, pattern: keyof typeof PATTERNS): void {
  const value = `${CANARY}-${pattern}`;
  const block = literal(PATTERNS[pattern], STATIC_NAMES.indexOf(name), value);
  expect(decodeList(new HpackDecoder(), block)).toEqual([name, value]);
}

describe("remember()", () => {
  test("keeps no secret of a connection for others", () => {
    for (const name of ["authorization", "proxy-authorization", "cookie", "set-cookie"]) {
      for (const pattern of ["indexed", "literal", "never"] as const) plant(name, pattern);
    }
    expect(remembered()).toEqual([]);
  });

  test("keeps nothing that its sender never indexes, and what is neither", () => {
    plant("user-agent", "never");
    expect(remembered()).toEqual([]);
    plant("user-agent", "literal");
    expect(remembered()).toEqual(["user-agent"]);
  });

  test("keeps 64 characters and no more, and no secret by a name of its own", () => {
    const last = (name: string, value: string) => {
      const entry = newEntry(newName(name), value);
      remember(entry);
      return entry.named.last?.value ?? null;
    };
    expect(last("x-name", "v".repeat(64))).toBe("v".repeat(64));
    expect(last("x-name", "v".repeat(65))).toBeNull();
    for (const name of ["x-api-key", "apikey", "x-auth-token", "x-amz-security-token", "client-secret"]) {
      expect(last(name, CANARY)).toBeNull();
    }
    for (const name of ["x-monkey", "x-author", "x-tokens-left"]) expect(last(name, CANARY)).toBe(CANARY);
  });
});
