import { expect, test } from "bun:test";
import { onHangup, onTerminate, SAME_SIGNAL_MS } from "../../../src/runtime/signals.ts";

/** The signal arrives through the event loop. */
async function send(signal: NodeJS.Signals): Promise<void> {
  process.kill(process.pid, signal);
  await Bun.sleep(20);
}

test("onTerminate() calls back once, takes an echo for the same signal, and a later one forces the end", async () => {
  const seen: string[] = [];
  const forced: number[] = [];
  const off = onTerminate((signal) => seen.push(signal), (exitCode) => forced.push(exitCode));
  await send("SIGTERM");
  expect([seen, forced]).toEqual([["SIGTERM"], []]);
  await send("SIGTERM");
  expect([seen, forced]).toEqual([["SIGTERM"], []]);
  await Bun.sleep(SAME_SIGNAL_MS);
  await send("SIGINT");
  expect([seen, forced]).toEqual([["SIGTERM"], [130]]);
  off();
  expect(process.listenerCount("SIGTERM")).toBe(0);
});

test("onHangup() calls back every time", async () => {
  let hangups = 0;
  const off = onHangup(() => hangups++);
  await send("SIGHUP");
  await send("SIGHUP");
  off();
  expect(hangups).toBe(2);
});
