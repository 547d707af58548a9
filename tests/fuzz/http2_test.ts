/** No frames make the HTTP/2 codec throw, forget a request, call a handler after its end, or disagree with itself across cuts. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { HpackDecoder } from "../../src/proxy/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../src/proxy/http2/hpack/encoder.ts";
import { decodeHuffman } from "../../src/proxy/http2/hpack/huffman.ts";
import { huffman } from "../unit/proxy/http2/hpack/huffman_code.ts";
import {
  clientEvents,
  clientFrames,
  cuts,
  serverEvents,
  serverFrames,
  split,
} from "../unit/proxy/http2/frame_sequences.ts";
import { decodeList } from "../unit/proxy/http2/hpack/field_list.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** Each run of a connection waits for two turns of the event loop. */
const CONNECTION_RUNS = Math.ceil(RUNS / 10);

const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

test("Http2ServerConnection agrees with itself on mutated frames and on noise", async () => {
  const frames = fc.oneof({ weight: 9, arbitrary: clientFrames }, { weight: 1, arbitrary: noise });
  await fc.assert(
    fc.asyncProperty(frames, cuts, async (bytes, lengths) => {
      expect(await serverEvents(split(bytes, lengths))).toEqual(await serverEvents([bytes]));
    }),
    { seed: SEED, numRuns: CONNECTION_RUNS },
  );
}, 120_000);

test("Http2ClientConnection agrees with itself on mutated frames and on noise", async () => {
  const frames = fc.oneof({ weight: 9, arbitrary: serverFrames }, { weight: 1, arbitrary: noise });
  await fc.assert(
    fc.asyncProperty(frames, cuts, async (bytes, lengths) => {
      expect(await clientEvents(split(bytes, lengths))).toEqual(await clientEvents([bytes]));
    }),
    { seed: SEED, numRuns: CONNECTION_RUNS },
  );
}, 120_000);

test("HpackDecoder takes any block or refuses it, and what it took survives another round", () => {
  // Indexed fields, literals and size updates are likely; anything may follow.
  const block = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((octet) => [octet]),
      fc.tuple(
        fc.constantFrom(0x00, 0x10, 0x40),
        fc.uint8Array({ maxLength: 5 }),
        fc.uint8Array({ maxLength: 9 }),
      ).map(
        ([pattern, name, value]) => [pattern, name.length, ...name, value.length, ...value],
      ),
    ),
    { maxLength: 20 },
  ).map((pieces) => Buffer.from(pieces.flat()));
  fc.assert(
    fc.property(fc.array(block, { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder();
      const [encoder, again] = [new HpackEncoder(), new HpackDecoder()];
      for (const bytes of blocks) {
        const list = decodeList(decoder, bytes, 10_000, 100);
        if (typeof list === "string") return;
        encoder.begin();
        for (let i = 0; i < list.length; i += 2) encoder.field(list[i] as string, list[i + 1] as string);
        expect(decodeList(again, encoder.bytes.subarray(0, encoder.length))).toEqual(list);
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
}, 120_000);

test("decodeHuffman() takes exactly what one text encodes to", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = decodeHuffman(Buffer.from(bytes), 0, bytes.length);
      if (text !== undefined) expect(huffman(Buffer.from(text, "latin1"))).toEqual(Buffer.from(bytes));
    }),
    { seed: SEED, numRuns: RUNS },
  );
}, 120_000);
