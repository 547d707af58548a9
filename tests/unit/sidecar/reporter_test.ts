import { expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { ControlPlaneUnreachable } from "../../../src/sidecar/control_plane_unreachable.ts";
import { Reporter } from "../../../src/sidecar/reporter.ts";
import { createLog } from "../../../src/telemetry/log.ts";

test("Reporter drops what is refused, and says so once until it is taken again", async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const answers = [403, 403, 204, 403];
  const message = "The certificate was revoked";
  const edge = { protocol: "tcp", responses: [], opened: 1 };
  const posted: unknown[] = [];
  const reporter = new Reporter({
    clock,
    log: createLog({ clock, format: "json", write: (line) => lines.push(line) }),
    workload: "shop/web",
    client: {
      post(_path: string, report: unknown) {
        posted.push(report);
        const body = { error: { code: "certificate_revoked", message } };
        return Promise.resolve({ status: answers[posted.length - 1], body });
      },
    } as never,
    edges: { takeReport: () => [edge] } as never,
    calls: { takeReport: () => ({ calls: [], omitted: 0 }) } as never,
  });
  for (const _ of answers) await reporter.report();
  expect(posted).toEqual(answers.map(() => ({ edges: [edge] })));
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ reason: message }, { reason: message }]);
});

test("Reporter says by a sentence why it cannot report", async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const reporter = new Reporter({
    clock,
    log: createLog({ clock, format: "json", write: (line) => lines.push(line) }),
    workload: "shop/web",
    client: { post: () => Promise.reject(new ControlPlaneUnreachable("nobody listens there")) } as never,
    edges: { takeReport: () => [{ protocol: "tcp", responses: [] }] } as never,
    calls: { takeReport: () => ({ calls: [], omitted: 0 }) } as never,
  });
  await reporter.report();
  expect(lines.map((line) => JSON.parse(line).reason)).toEqual(["nobody listens there"]);
});
