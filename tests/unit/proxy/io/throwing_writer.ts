/** A process of its own, since an error that nobody catches fails any test: three writers, the second one throws. */
import { ByteWriter } from "../../../../src/proxy/io/byte_writer.ts";
import { FakeWire, settle } from "../fake_wire.ts";

let thrown = 0;
process.on("uncaughtException", () => thrown++);

const failing = new FakeWire();
failing.write = () => {
  throw new Error("The owner is broken");
};
const wires = [new FakeWire(), failing, new FakeWire()];
for (let round = 0; round < 2; round++) {
  for (const wire of wires) {
    const writer = new ByteWriter(wire, () => {});
    writer.text("x");
    writer.flushSoon();
  }
  await settle();
  await settle();
}
console.log(JSON.stringify({ thrown, written: [wires[0]?.written, wires[2]?.written] }));
