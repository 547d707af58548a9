import { expect, test } from "bun:test";
import { PIPELINE_BYTES_MAX } from "../../../../src/proxy/http1/limits.ts";
import { Pipeline } from "../../../../src/proxy/http1/pipeline.ts";
import { FakeWire, latin1 } from "../fake_wire.ts";

test("Pipeline.keep() pauses the wire above its limit, until what it kept is taken", () => {
  const wire = new FakeWire();
  const pipeline = new Pipeline(wire);
  pipeline.keep(Buffer.alloc(PIPELINE_BYTES_MAX));
  expect(wire.paused).toBe(false);
  pipeline.keep(latin1("G"));
  expect(wire.paused).toBe(true);
  pipeline.resume();
  expect(wire.paused).toBe(true);
  expect(pipeline.take()).toHaveLength(PIPELINE_BYTES_MAX + 1);
  pipeline.resume();
  expect(wire.paused).toBe(false);
});

test("Pipeline.keep() keeps the beginning of a request, and not the body that was received with it", () => {
  const pipeline = new Pipeline(new FakeWire());
  const received = latin1(`${"b".repeat(64 * 1024)}GET /`);
  pipeline.keep(received.subarray(64 * 1024));
  // A view of it would change as well.
  received.fill("x");
  expect(pipeline.take()?.toString("latin1")).toBe("GET /");
});
