/** Opens the citadel of the directory in argv[2] and rolls its root over for ever; prints what it has become after each step. */
import { openLiveCitadel } from "./test_citadel.ts";

const citadel = await openLiveCitadel(process.argv[2] as string);
const { rollover } = citadel;
if (rollover === null) throw new Error("It has a root of its own");
const steps = [
  () => rollover.start(),
  () => rollover.advance(() => []),
  () => rollover.finish([], false),
  () => rollover.start(),
  () => rollover.advance(() => []),
  () => rollover.abort(),
  () => rollover.advance(() => []),
];
// What the process before it left.
await rollover.abort().catch(() => {});
await rollover.advance(() => []);
console.log(`${citadel.rolloverPhase} ${citadel.trust.signer}`);
for (;;) {
  for (const step of steps) {
    await step();
    console.log(`${citadel.rolloverPhase} ${citadel.trust.signer}`);
  }
}
