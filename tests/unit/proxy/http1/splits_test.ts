/** TCP has no messages: however the same bytes are cut, a connection makes the same of them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { clientEvents, cuts, requestTexts, responseTexts, serverEvents, split } from "./wire_texts.ts";

const RUNS = { seed: 9_112, numRuns: 150 };

test("Http1ServerConnection makes the same of the same bytes, however they are cut (property)", async () => {
  await fc.assert(
    fc.asyncProperty(requestTexts, cuts, fc.boolean(), async (text, lengths, pauses) => {
      const whole = await serverEvents([text], false);
      expect(await serverEvents(split(text, lengths), pauses)).toEqual(whole);
      expect(await serverEvents([...text], false)).toEqual(whole);
    }),
    RUNS,
  );
});

test("Http1ClientConnection makes the same of the same bytes, however they are cut (property)", () => {
  fc.assert(
    fc.property(responseTexts, cuts, fc.constantFrom("GET", "HEAD"), (text, lengths, method) => {
      const whole = clientEvents([text], method);
      expect(clientEvents(split(text, lengths), method)).toEqual(whole);
      expect(clientEvents([...text], method)).toEqual(whole);
    }),
    { ...RUNS, numRuns: 1_000 },
  );
});
