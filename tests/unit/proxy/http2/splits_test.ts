/** TCP has no messages: however the same frames are cut, a connection makes the same of them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { clientEvents, clientFrames, cuts, serverEvents, serverFrames, split } from "./frame_sequences.ts";

const RUNS = { seed: 9_113, numRuns: 300 };

test("Http2ServerConnection makes the same of the same bytes, however they are cut (property)", async () => {
  await fc.assert(
    fc.asyncProperty(clientFrames, cuts, async (bytes, lengths) => {
      const whole = await serverEvents([bytes]);
      expect(await serverEvents(split(bytes, lengths))).toEqual(whole);
      expect(await serverEvents(split(bytes, Array(bytes.length).fill(1)))).toEqual(whole);
    }),
    RUNS,
  );
});

test("Http2ClientConnection makes the same of the same bytes, however they are cut (property)", async () => {
  await fc.assert(
    fc.asyncProperty(serverFrames, cuts, async (bytes, lengths) => {
      const whole = await clientEvents([bytes]);
      expect(await clientEvents(split(bytes, lengths))).toEqual(whole);
      expect(await clientEvents(split(bytes, Array(bytes.length).fill(1)))).toEqual(whole);
    }),
    RUNS,
  );
});
