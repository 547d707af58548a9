import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import type { HealthProbe, WorkloadHealth } from "../../../src/model/health_probe.ts";
import { healthSamples } from "../../../src/sidecar/probe/health_samples.ts";
import { HealthProber } from "../../../src/sidecar/probe/health_prober.ts";
import { createLog } from "../../../src/telemetry/log.ts";

const PROBE: HealthProbe = {
  method: { type: "tcp", host: null, port: 8080 },
  initialDelayMs: 0,
  periodMs: 10_000,
  timeoutMs: 1_000,
  successThreshold: 1,
  failureThreshold: 3,
};

function start() {
  const clock = new ManualClock(1_000_000);
  const changes: WorkloadHealth[] = [];
  const asked: { probe: HealthProbe; signal: AbortSignal; answer: (trouble: string | null) => void }[] = [];
  const prober = new HealthProber({
    clock,
    log: createLog({ clock, format: "json", write: () => {} }),
    check: (probe, signal) => new Promise((answer) => asked.push({ probe, signal, answer })),
    onChange: (health) => changes.push(health),
  });
  /** Lets time pass until the next question and answers it. */
  const answer = async (trouble: string | null, waitMs = PROBE.periodMs) => {
    clock.advance(waitMs);
    asked.at(-1)?.answer(trouble);
    await Promise.resolve();
    await Promise.resolve();
  };
  return { clock, changes, asked, prober, answer };
}

describe("HealthProber", () => {
  test("HealthProber does not know before the first answer, and one good one is enough", async () => {
    const { prober, changes, answer } = start();
    prober.use(PROBE);
    expect(prober.health).toBe("unknown");
    await answer(null, 0);
    expect(changes).toEqual(["healthy"]);
  });

  test("HealthProber finds unhealthy what fails three times in a row, and not before", async () => {
    const { prober, changes, answer } = start();
    prober.use(PROBE);
    await answer(null, 0);
    for (const trouble of ["a", "b", null, "c", "d"]) await answer(trouble);
    expect(changes).toEqual(["healthy"]);
    await answer("e");
    expect(changes).toEqual(["healthy", "unhealthy"]);
    await answer(null);
    expect(changes).toEqual(["healthy", "unhealthy", "healthy"]);
  });

  test("HealthProber wants as many good answers in a row as the probe says", async () => {
    const { prober, changes, answer } = start();
    prober.use({ ...PROBE, successThreshold: 2 });
    await answer(null, 0);
    await answer("a");
    await answer(null);
    expect(changes).toEqual([]);
    await answer(null);
    expect(changes).toEqual(["healthy"]);
  });

  test("HealthProber asks for the first time after the initial delay, counted from its own start", () => {
    const { prober, asked, clock } = start();
    clock.advance(2_000);
    prober.use({ ...PROBE, initialDelayMs: 5_000 });
    clock.advance(2_999);
    expect(asked).toHaveLength(0);
    clock.advance(1);
    expect(asked).toHaveLength(1);
  });

  test("HealthProber asks once a period, and never twice at once", async () => {
    const { prober, asked, clock, answer } = start();
    prober.use(PROBE);
    clock.advance(25_000);
    expect(asked).toHaveLength(1);
    await answer(null, 0);
    await answer(null, 0);
    expect(asked).toHaveLength(2);
    clock.advance(PROBE.periodMs - 1);
    expect(asked).toHaveLength(2);
    clock.advance(1);
    expect(asked).toHaveLength(3);
  });

  test("HealthProber without a probe is healthy, and keeps that until a new probe has spoken", async () => {
    const { prober, changes, answer } = start();
    prober.use(null);
    expect(prober.health).toBe("healthy");
    prober.use(PROBE);
    await answer("a", 0);
    await answer("b");
    expect(prober.health).toBe("healthy");
    await answer("c");
    expect(changes).toEqual(["healthy", "unhealthy"]);
    prober.use(null);
    expect(changes).toEqual(["healthy", "unhealthy", "healthy"]);
  });

  test("HealthProber goes on undisturbed when the same probe comes again", async () => {
    const { prober, asked, answer } = start();
    prober.use(PROBE);
    await answer("a", 0);
    await answer("b");
    prober.use({ ...PROBE });
    await answer("c");
    expect(prober.health).toBe("unhealthy");
    expect(asked).toHaveLength(3);
  });

  test("HealthProber ends the question that is under way when the probe changes or nobody asks any more", async () => {
    const { prober, asked, clock, answer } = start();
    prober.use(PROBE);
    clock.advance(0);
    prober.use({ ...PROBE, periodMs: 5_000 });
    expect(asked[0]?.signal.aborted).toBe(true);
    asked[0]?.answer(null);
    await answer("a", 0);
    expect(prober.health).toBe("unknown");
    prober.stop();
    expect(clock.pending).toBe(0);
  });

  test("healthSamples() tells the health and the answers of a probe, and nothing without one", async () => {
    const { prober, answer } = start();
    expect(healthSamples(prober)).toEqual([]);
    prober.use(PROBE);
    await answer(null, 0);
    await answer("a");
    const values = healthSamples(prober).map(({ name, labels, value }) => [name, labels?.["result"], value]);
    expect(values).toEqual([
      ["bowline_workload_healthy", undefined, 1],
      ["bowline_health_probes_total", "success", 1],
      ["bowline_health_probes_total", "failure", 1],
    ]);
  });
});
