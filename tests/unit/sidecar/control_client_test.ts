/** The line to the control plane: which certificate its connections show, and what becomes of those that stand. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { controlPlaneId } from "../../../src/model/spiffe_id.ts";
import { ControlClient } from "../../../src/sidecar/control_client.ts";
import { TestAuthority } from "../identity/odd_certificates.ts";
import { FakeNetwork, OTHER_NAME } from "../proxy/fake_network.ts";
import { settle } from "../proxy/fake_wire.ts";

const authority = await TestAuthority.make();
const { der } = await authority.issue({ names: [{ type: "url", value: controlPlaneId("mesh.test") }] });

function answer(text: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

function build(address = "192.0.2.9:15012") {
  // Certificates are of today, and so is the clock.
  const clock = new ManualClock(Date.now());
  const network = new FakeNetwork();
  const own = { chain: "first" };
  const client = new ControlClient({
    ...{ address, trustDomain: "mesh.test", clock, wheel: new TimerWheel(clock) },
    connect: network.connect,
    tlsMaterial: () => ({ ...own, key: "key", roots: "roots" }),
    warn: () => {},
  });
  /** Asks, and lets the control plane accept the connection that is made for it, if one is. */
  const ask = () => {
    const before = network.attempts.length;
    const asked = client.post("/v1/renew", {});
    if (network.attempts.length > before) network.last.accept().handshake(der, OTHER_NAME);
    return asked;
  };
  const chains = () => network.attempts.map(({ tls }) => tls?.chain);
  return { clock, network, own, client, ask, chains };
}

describe("ControlClient.reconnect()", () => {
  test("ControlClient.reconnect() shows the certificate of now from the next request on", async () => {
    const { network, own, client, ask, chains } = build();
    const first = ask();
    network.last.say(answer("1"));
    expect((await first).body).toBe(1);
    own.chain = "second";
    const second = ask();
    network.last.say(answer("2"));
    expect((await second).body).toBe(2);
    // Nobody has said that there is another one.
    expect(chains()).toEqual(["first"]);

    client.reconnect();
    const third = ask();
    network.last.say(answer("3"));
    expect((await third).body).toBe(3);
    expect(chains()).toEqual(["first", "second"]);
    expect(network.attempts.map(({ wire }) => wire.closed)).toEqual([true, false]);
  });

  test("ControlClient.reconnect() lets what was asked before it be answered, and closes behind it", async () => {
    const { network, own, client, ask, chains } = build();
    const asked = ask();
    const ends: string[] = [];
    const lines: string[] = [];
    client.stream("/v1/discovery", {
      onOpen: () => {},
      onLine: (line) => lines.push(line),
      onEnd: (reason) => ends.push(reason),
    });
    const [requests, stream] = network.attempts as [typeof network.last, typeof network.last];
    stream.accept().handshake(der, OTHER_NAME);
    stream.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");

    own.chain = "second";
    client.reconnect();
    expect(network.attempts.map(({ wire }) => wire.closed)).toEqual([false, false]);
    stream.say("2\r\n1\n\r\n");
    requests.say(answer("2"));
    expect([(await asked).body, lines, ends]).toEqual([2, ["1"], []]);
    await settle();
    expect(network.attempts.map(({ wire }) => wire.closed)).toEqual([true, false]);
    const next = ask();
    network.last.say(answer("3"));
    expect((await next).body).toBe(3);
    expect(chains()).toEqual(["first", "first", "second"]);
  });

  test("ControlClient.reconnect() leaves nobody waiting whose connection was still being made", async () => {
    const { network, own, client, chains } = build();
    const asked = client.post("/v1/report", {});
    own.chain = "second";
    client.reconnect();
    network.last.accept().handshake(der, OTHER_NAME).say(answer("1"));
    expect((await asked).body).toBe(1);
    expect([chains(), network.last.wire.closed]).toEqual([["first"], true]);
  });
});

test.each([
  ["192.0.2.9:15012", "nobody accepts connections there"],
  ["control.test:15012", "nobody accepts connections there, or nobody knows the name"],
])("ControlClient.post() says why there is no connection to %s", async (address, reason) => {
  const { network, client } = build(address);
  const asked = client.post("/v1/renew", {});
  network.last.refuse();
  await expect(asked).rejects.toMatchObject({
    message: `The control plane at ${address} cannot be used: ${reason}`,
  });
});
