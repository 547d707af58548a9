/** No bytes make the HTTP/1 codec throw, go on after an error, disagree with itself across cuts, or pass on what reads otherwise. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { RequestHead } from "../../src/proxy/exchange.ts";
import { parseRequestHead } from "../../src/proxy/http1/head.ts";
import { writeRequestHead } from "../../src/proxy/http1/head_writer.ts";
import { Malformed } from "../../src/proxy/http1/malformed.ts";
import { ByteWriter } from "../../src/proxy/io/byte_writer.ts";
import { FakeWire } from "../unit/proxy/fake_wire.ts";
import { Downstream } from "../unit/proxy/http1/downstream.ts";
import {
  clientEvents,
  cuts,
  requestTexts,
  responseTexts,
  serverEvents,
  split,
} from "../unit/proxy/http1/wire_texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** A server connection is asynchronous, so each run takes longer. */
const ASYNC_RUNS = Math.ceil(RUNS / 10);

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

test("Http1ServerConnection agrees with itself on mutated requests and on noise", async () => {
  const texts = fc.oneof({ weight: 9, arbitrary: requestTexts }, { weight: 1, arbitrary: anyBytes });
  await fc.assert(
    fc.asyncProperty(texts, cuts, async (text, lengths) => {
      expect(await serverEvents(split(text, lengths), false)).toEqual(await serverEvents([text], false));
    }),
    { seed: SEED, numRuns: ASYNC_RUNS },
  );
}, 120_000);

test("Http1ClientConnection agrees with itself on mutated responses and on noise", () => {
  const texts = fc.oneof({ weight: 9, arbitrary: responseTexts }, { weight: 1, arbitrary: anyBytes });
  fc.assert(
    fc.property(texts, cuts, fc.constantFrom("GET", "HEAD"), (text, lengths, method) => {
      expect(clientEvents(split(text, lengths), method)).toEqual(clientEvents([text], method));
    }),
    { seed: SEED, numRuns: RUNS },
  );
}, 120_000);

test("a request that was accepted reads the same to the next server", () => {
  fc.assert(
    fc.property(requestTexts, (text) => {
      const down = new Downstream();
      down.send(text);
      for (const { head } of down.requests) expect(passedOn(head)).toEqual(forwarded(head));
    }),
    { seed: SEED, numRuns: RUNS },
  );
}, 120_000);

/** The head as the next server reads it. */
function passedOn(head: RequestHead): RequestHead {
  const wire = new FakeWire();
  const writer = new ByteWriter(wire, () => {});
  writeRequestHead(writer, head);
  writer.flush();
  expect(wire.written.indexOf("\r\n\r\n")).toBe(wire.written.length - 4);
  const parsed = parseRequestHead(wire.written.slice(0, -2), "http");
  if (parsed instanceof Malformed) throw new Error(`It is refused: ${parsed.details}`);
  return parsed.head;
}

/** What is left out on purpose: CONNECT, which nobody forwards, and the scheme of an absolute-form target. */
function forwarded(head: RequestHead): RequestHead {
  return { ...head, scheme: "http" };
}
