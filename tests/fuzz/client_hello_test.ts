import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CLIENT_HELLO_BYTES_MAX, ClientHelloReader } from "../../src/proxy/listener/client_hello.ts";
import { type Expectation, ProtocolDetector } from "../../src/proxy/listener/protocol_detector.ts";
import { CLIENT_HELLOS } from "../unit/proxy/listener/client_hellos.ts";
import { extension, message, records, serverName } from "../unit/proxy/listener/hello_parts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

const bytes = fc.uint8Array({ maxLength: 300 });
const parts = fc.array(fc.tuple(fc.nat(60), bytes).map(([type, content]) => extension(type, content)));
const made = fc.tuple(parts, fc.domain(), fc.integer({ min: 1, max: 400 })).map(([others, name, size]) =>
  records(message(...others, serverName(name)), size)
);
const real = fc.constantFrom(...Object.values(CLIENT_HELLOS));
/** A hello with a few of its bytes replaced. */
const spoilt = fc.tuple(fc.oneof(made, real), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
  .map(([hello, changes]) => {
    const copy = Buffer.from(hello);
    for (const [at, value] of changes) copy[at % copy.length] = value;
    return copy;
  });
const input = fc.oneof(spoilt, fc.uint8Array({ maxLength: 400 }).map((some) => Buffer.from(some)));
const cuts = fc.array(fc.nat(CLIENT_HELLO_BYTES_MAX), { maxLength: 6 });

/** The lengths of what was seen after each piece. */
function lengths(whole: Buffer, at: readonly number[]): number[] {
  return [...new Set([...at.map((cut) => 1 + cut % whole.length), whole.length])].sort((a, b) => a - b);
}

describe("ClientHelloReader", () => {
  test("any bytes give the same verdict and name, however they are split", () => {
    fc.assert(
      fc.property(input.filter(({ length }) => length > 0), cuts, (whole, at) => {
        const once = new ClientHelloReader();
        const verdict = once.read(whole);
        const pieces = new ClientHelloReader();
        let last: string = "partial";
        for (const length of lengths(whole, at)) {
          if (last === "partial") last = pieces.read(whole.subarray(0, length));
        }
        expect([last, pieces.serverName]).toEqual([verdict, once.serverName]);
        if (once.serverName !== null) expect(once.serverName).toMatch(/^[a-z0-9_.-]{1,255}$/);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("ProtocolDetector", () => {
  test("any bytes are the same protocol, however they are split", () => {
    const line = fc.string({
      unit: fc.constantFrom("G", "E", "/", " ", "H", "T", "P", "1", ".", "\r", "\n"),
    });
    const some = fc.oneof(input, line.map((text) => Buffer.from(text)));
    const expectations = fc.constantFrom<Expectation>("any", "http", "tls", "direct");
    fc.assert(
      fc.property(some.filter(({ length }) => length > 0), cuts, expectations, (whole, at, expectation) => {
        const expected = new ProtocolDetector(expectation).detect(whole);
        const pieces = new ProtocolDetector(expectation);
        let last: string | null = null;
        for (const length of lengths(whole, at)) last ??= pieces.detect(whole.subarray(0, length));
        expect(last).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });
});
