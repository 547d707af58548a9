import { describe, expect, test } from "bun:test";
import type { Citadel } from "../../../../src/citadel/citadel.ts";
import { DiscoveryStream } from "../../../../src/control/doors/discovery_stream.ts";
import { LargePushes } from "../../../../src/control/doors/large_pushes.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { DISCOVERY_PROTOCOL } from "../../../../src/model/discovery.ts";
import { DiscoveryServer } from "../../../../src/pilot/discovery/discovery_server.ts";
import { WorkloadRegistry } from "../../../../src/pilot/registry.ts";
import type { ServerStream } from "../../../../src/proxy/exchange.ts";
import type { Log } from "../../../../src/telemetry/log.ts";

const WORKLOAD = "shop/cart";
const HELLO = JSON.stringify({
  type: "hello",
  protocol: DISCOVERY_PROTOCOL,
  version: "0.1.0",
  role: "sidecar",
  workload: WORKLOAD,
  address: "",
  meshPort: 15_008,
  known: {},
  certificate: "0a",
});

function open() {
  const clock = new ManualClock();
  const trustDomain = "mesh.test";
  const registry = new WorkloadRegistry({ clock, trustDomain });
  const discovery = new DiscoveryServer({ registry, clock, trustDomain });
  const calls: string[] = [];
  const held: string[] = [];
  const log = { info: (_: string, { reason }: { reason: string }) => calls.push(reason) } as unknown as Log;
  const answer = {
    respond: ({ status }: { status: number }) => calls.push(`${status}`),
    body: () => true,
    end: () => calls.push("end"),
  } as unknown as ServerStream;
  const citadel = { hold: (workload: string, serial: string) => held.push(`${workload} ${serial}`) };
  const stream = new DiscoveryStream(answer, {
    spiffeId: `spiffe://${trustDomain}/ns/shop/sa/cart`,
    serial: "0a",
    address: "127.0.0.7",
  }, { citadel: citadel as unknown as Citadel, discovery, log, largePushes: new LargePushes(clock) });
  const say = (text: string) => stream.onRequestBody(new TextEncoder().encode(text));
  const connected = () => discovery.status().map(({ workload, address }) => `${workload} at ${address}`);
  return { stream, say, connected, calls, held };
}

describe("DiscoveryStream", () => {
  test("DiscoveryStream answers at once, and connects who says hello, in whatever pieces it comes", () => {
    const { say, connected, calls, held } = open();
    expect(calls).toEqual(["200"]);
    say(HELLO.slice(0, 20));
    expect(connected()).toEqual([]);
    say(`${HELLO.slice(20)}\n{"type":"certificate","serial":"0b"}\n`);
    expect(connected()).toEqual([`${WORKLOAD} at 127.0.0.7`]);
    expect(held).toEqual([`${WORKLOAD} 0a`, `${WORKLOAD} 0b`]);
  });

  test.each([
    ["a line that is not JSON", `${HELLO}\n{\n`, "A line is not JSON"],
    ["another message before the hello", '{"type":"heartbeat"}\n', "The first message is no hello"],
    ["a message that is null", "null\n", "The first message is no hello"],
  ])("DiscoveryStream ends on %s, once, and reads nothing after it", (_what, text, reason) => {
    const { stream, say, connected, calls } = open();
    say(text);
    say(`${HELLO}\n`);
    stream.onRequestEnd();
    expect(connected()).toEqual([]);
    expect(calls).toEqual(["200", reason, "end"]);
  });

  test("DiscoveryStream is over when the peer ends it, and when it breaks off", () => {
    const [ended, broken] = [open(), open()];
    for (const { say } of [ended, broken]) say(`${HELLO}\n`);
    ended.stream.onRequestEnd();
    broken.stream.onDownstreamReset("closed");
    for (const { connected } of [ended, broken]) expect(connected()).toEqual([]);
    expect(ended.calls).toEqual(["200", "The proxy closed the stream", "end"]);
    expect(broken.calls).toEqual(["200", "The peer broke off: closed"]);
  });
});
