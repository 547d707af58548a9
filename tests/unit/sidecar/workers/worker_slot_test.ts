/** The place of one worker, from process to process. */
import { expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { END_MS, RESTART_MAX_MS, WorkerSlot } from "../../../../src/sidecar/workers/worker_slot.ts";
import type { WorkerCounts } from "../../../../src/sidecar/workers/worker_messages.ts";
import { createLog } from "../../../../src/telemetry/log.ts";
import { settle } from "../../proxy/fake_wire.ts";
import { type FakeWorker, FakeWorkers } from "./fake_workers.ts";

/** One that has something to serve by; `absorbed` has what was told to each of its books. */
function build() {
  const clock = new ManualClock();
  const workers = new FakeWorkers();
  const absorbed: [string, unknown][] = [];
  const book = (name: string) => ({ absorb: (report: unknown) => absorbed.push([name, report]) }) as never;
  const slot = new WorkerSlot({
    ...{ number: 1, clock, random: new Prng(1), start: workers.start, onShutPorts: () => {} },
    log: createLog({ clock, format: "json", write: () => {} }),
    ...{ edges: book("edges"), decisions: book("decisions"), calls: book("calls"), tap: book("tap") },
    state: () => ({}) as never,
  });
  slot.start();
  const [first] = workers.all as [FakeWorker];
  return { clock, workers, absorbed, slot, first };
}

test("WorkerSlot takes the calls, whole and one by one, that its worker was sent", async () => {
  const { slot, first, absorbed } = build();
  await first.serves();
  absorbed.length = 0;
  const collected = slot.collect();
  const calls = { calls: [], omitted: 3 };
  const tapped = { calls: [], omitted: 4 };
  await first.answers("collect", { calls, tapped } as Partial<WorkerCounts>);
  await collected;
  expect(absorbed).toEqual([["calls", calls], ["tap", tapped]]);
});

test("WorkerSlot tells of a tap to a worker that serves, and to no other", async () => {
  const { slot, first } = build();
  slot.openTap(1_000);
  await first.says({ type: "hello" });
  expect(first.types).toEqual(["start"]);
  await first.answers("start");
  slot.openTap(1_000);
  expect(first.heard.at(-1)).toMatchObject({ type: "tap", leaseMs: 1_000 });
});

test("WorkerSlot.end() waits for the worker that is there now, and kills it when it does not go", async () => {
  const { clock, workers, slot, first } = build();
  await first.serves();
  await first.ends();
  clock.advance(RESTART_MAX_MS);
  const [, second] = workers.all as [FakeWorker, FakeWorker];
  await second.serves();
  let isOver = false;
  void slot.end().then(() => isOver = true);
  clock.advance(END_MS - 1);
  await settle();
  expect([isOver, second.types.at(-1), second.killed]).toEqual([false, "end", false]);
  clock.advance(1);
  expect(second.killed).toBe(true);
  await second.ends({ code: null, signal: "SIGKILL" });
  expect(isOver).toBe(true);
});
