/** What is told to the control plane of the traffic: once, in order, and later where it cannot be told now. */
import { expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { REPORT_EDGES_MAX, type TelemetryReport } from "../../../src/model/report.ts";
import { ControlPlaneUnreachable } from "../../../src/sidecar/control_plane_unreachable.ts";
import type { Answer } from "../../../src/sidecar/json_call.ts";
import { REPORT_INTERVAL_MS, Reporter, REPORTS_KEPT_MAX } from "../../../src/sidecar/reporter.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { settle } from "../proxy/fake_wire.ts";

const TAKEN: Answer = { status: 204, body: null, retryAfterMs: 0 };
const MESSAGE = "The certificate was revoked";
const REFUSED: Answer = {
  status: 403,
  body: { error: { code: "certificate_revoked", message: MESSAGE } },
  retryAfterMs: 0,
};
const BROKEN: Answer = { status: 500, body: null, retryAfterMs: 0 };
const AWAY = new ControlPlaneUnreachable("nobody listens there");
const CALL = { path: "/" };

/** `answers` are those of the control plane, one after the other, and then it takes everything. */
function build(...answers: (Answer | Error | Promise<Answer>)[]) {
  const clock = new ManualClock();
  const lines: { readonly message: string; readonly reason: string }[] = [];
  /** The numbers of the edges of each report, and how many kinds of calls were in it. */
  const posted: [edges: number[], calls?: number][] = [];
  /** What the proxy has counted since it was asked last. */
  const counted = { edges: [] as number[], calls: 0 };
  const client = {
    async post(_path: string, { edges, calls }: TelemetryReport): Promise<Answer> {
      const opened = edges.map((edge) => edge.opened as number);
      posted.push(calls === undefined ? [opened] : [opened, calls.calls.length]);
      const answer = await (answers.shift() ?? TAKEN);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const reporter = new Reporter({
    clock,
    log: createLog({ clock, format: "json", write: (line) => lines.push(JSON.parse(line)) }),
    workload: "shop/web",
    client: client as never,
    edges: {
      takeReport: () => counted.edges.splice(0).map((opened) => ({ protocol: "tcp", responses: [], opened })),
    } as never,
    calls: {
      takeReport: () => {
        const { calls } = counted;
        counted.calls = 0;
        return { calls: Array.from({ length: calls }, () => CALL), omitted: 0 };
      },
    } as never,
  });
  return { clock, reporter, posted, lines, counted };
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

test("Reporter drops what is refused, and says so once until it is taken again", async () => {
  const { reporter, posted, lines, counted } = build(REFUSED, REFUSED, TAKEN, REFUSED);
  for (let i = 0; i < 4; i++) {
    counted.edges.push(i);
    await reporter.report();
  }
  expect(posted).toEqual([[[0]], [[1]], [[2]], [[3]]]);
  const warning = { message: "The control plane refuses telemetry; it is lost", reason: MESSAGE };
  expect(lines).toMatchObject([warning, warning]);
});

test("Reporter keeps what it could not tell, with its calls, and says why once until it can again", async () => {
  const { reporter, posted, lines, counted } = build(AWAY, BROKEN, TAKEN, BROKEN);
  for (let i = 0; i < 4; i++) {
    counted.edges.push(i);
    counted.calls = i === 0 ? 2 : 0;
    await reporter.report();
  }
  expect(posted).toEqual([[[0], 2], [[0, 1], 2], [[0, 1, 2], 2], [[3]]]);
  const message = "Cannot report telemetry; keeping it for later";
  expect(lines).toMatchObject([
    { message, reason: AWAY.message },
    { message, reason: "it answered 500: no reason given" },
  ]);
  await reporter.report();
  expect(posted.at(-1)).toEqual([[3]]);
});

test("Reporter keeps so much and no more, and tells it in parts, with the calls in the first alone", async () => {
  const { reporter, posted, counted } = build(AWAY, AWAY);
  counted.edges = numbers(REPORTS_KEPT_MAX);
  await reporter.report();
  counted.edges = [REPORTS_KEPT_MAX];
  counted.calls = 1;
  await reporter.report();
  posted.length = 0;
  await reporter.report();
  expect(posted.map(([edges]) => edges.length)).toEqual(
    numbers(REPORTS_KEPT_MAX / REPORT_EDGES_MAX).map(() => REPORT_EDGES_MAX),
  );
  expect(posted.flatMap(([edges]) => edges)).toEqual(numbers(REPORTS_KEPT_MAX, 1));
  expect(posted.map(([, calls]) => calls)).toEqual([1, ...posted.slice(1).map(() => undefined)]);
});

test("Reporter tells every second of what there is, and of nothing once it is stopped", async () => {
  const answer = Promise.withResolvers<Answer>();
  const { clock, reporter, posted, counted } = build(TAKEN, answer.promise);
  reporter.start();
  clock.advance(REPORT_INTERVAL_MS);
  await settle();
  expect(posted).toEqual([]);
  for (const edge of [0, 1]) {
    counted.edges.push(edge);
    clock.advance(REPORT_INTERVAL_MS);
    await settle();
  }
  expect(posted).toEqual([[[0]], [[1]]]);
  reporter.stop();
  answer.resolve(TAKEN);
  await settle();
  expect(clock.pending).toBe(0);
});

test("Reporter.stop() ends it between reports, too", () => {
  const { clock, reporter } = build();
  reporter.start();
  reporter.stop();
  expect(clock.pending).toBe(0);
});

test("Reporter.finish() tells what is left, and waits no longer than it may", async () => {
  const { clock, reporter, posted, counted } = build(TAKEN, new Promise<Answer>(() => {}));
  reporter.start();
  counted.edges.push(0);
  await reporter.finish(3_000);
  expect([posted, clock.pending]).toEqual([[[[0]]], 0]);
  counted.edges.push(1);
  let finished = false;
  void reporter.finish(3_000).then(() => finished = true);
  clock.advance(2_999);
  await settle();
  expect(finished).toBe(false);
  clock.advance(1);
  await settle();
  expect([finished, clock.pending]).toEqual([true, 0]);
});

test("Reporter.report() while another is on its way tells what that did not", async () => {
  const answer = Promise.withResolvers<Answer>();
  const { reporter, posted, counted } = build(answer.promise);
  counted.edges = [0];
  const first = reporter.report();
  await settle();
  counted.edges = [1];
  const second = reporter.report();
  await settle();
  expect(posted).toEqual([[[0]]]);
  answer.resolve(TAKEN);
  await Promise.all([first, second]);
  expect(posted).toEqual([[[0]], [[1]]]);
});
