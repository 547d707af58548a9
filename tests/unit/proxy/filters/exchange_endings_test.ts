/** However clients, upstreams and time play together: each request is counted once, and nothing stays in flight. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Client, DataPlane, endpoint, shopSnapshot } from "../data_plane.ts";
import { settle } from "../fake_wire.ts";

const CLIENT_TEXTS = [
  "GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
  "HEAD / HTTP/1.0\r\nHost: shop\r\nConnection: keep-alive\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\n",
  "PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n",
  "PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n",
  "CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n",
  "hello",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "zz\r\n",
];
const UPSTREAM_TEXTS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 103 X\r\n\r\n",
  "hello",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "zz\r\n",
];

const client = fc.record({ do: fc.constant("client" as const), text: fc.constantFrom(...CLIENT_TEXTS) });
const upstream = fc.record({
  do: fc.constant("upstream" as const),
  text: fc.constantFrom(...UPSTREAM_TEXTS),
  which: fc.constantFrom(0, 0, 0, 1, 2),
});
const network = fc.record({
  do: fc.constantFrom("accept", "accept", "refuse"),
  which: fc.constantFrom(0, 0, 0, 1, 2),
});
const noise = fc.oneof(
  client,
  upstream,
  network,
  fc.record({
    do: fc.constantFrom("upstream-end", "upstream-reset", "upstream-drain", "upstream-blocks"),
    which: fc.constantFrom(0, 0, 0, 1, 2),
  }),
  fc.record({ do: fc.constantFrom("client-end", "client-close", "client-drain", "client-blocks", "drain") }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 50, 1_500, 12_000, 310_000) }),
  fc.record({ do: fc.constant("snapshot" as const), endpoints: fc.integer({ min: 0, max: 2 }) }),
);
const settled = fc.constant({ do: "settle" as const });
type Event = typeof noise extends fc.Arbitrary<infer T> ? T | { readonly do: "settle" } : never;

/** Mostly a request, a connection, an answer; anything in between; cut off anywhere. */
const round: fc.Arbitrary<Event[]> = fc.tuple(
  fc.oneof({ weight: 2, arbitrary: client }, { weight: 1, arbitrary: noise }),
  fc.oneof({ weight: 2, arbitrary: network }, { weight: 1, arbitrary: noise }),
  fc.oneof({ weight: 1, arbitrary: settled }, { weight: 1, arbitrary: noise }),
  fc.oneof({ weight: 2, arbitrary: upstream }, { weight: 1, arbitrary: noise }),
  fc.oneof({ weight: 1, arbitrary: upstream }, { weight: 1, arbitrary: noise }),
);
const history = fc.tuple(fc.array(round, { minLength: 1, maxLength: 4 }), fc.nat(4)).map(([rounds, cut]) => {
  const events = rounds.flat();
  return events.slice(0, events.length - cut);
});

/** Plays the events, then ends everything. */
async function play(plane: DataPlane, client: Client, events: readonly Event[]): Promise<void> {
  const open = { client: true };
  const accepted = new Set<number>();
  const over = new Set<number>();
  for (const step of events) await perform(step);
  if (open.client) client.close();
  // Back-offs and connect timeouts pass.
  for (let i = 0; i < 5; i++) {
    plane.clock.advance(2_000);
    await settle();
  }

  async function perform(step: Event): Promise<void> {
    const { attempts } = plane.network;
    const which = "which" in step ? attempts.length - 1 - step.which : -1;
    const connection = attempts[which];
    const live = connection !== undefined && accepted.has(which) && !over.has(which) &&
      !connection.wire.closed;
    switch (step.do) {
      case "client":
        if (open.client && !client.wire.closed && !client.wire.paused) client.send(step.text);
        return;
      case "upstream":
        if (live && !connection.wire.paused) connection.say(step.text);
        return;
      case "accept":
        if (connection === undefined || accepted.has(which) || over.has(which)) return;
        accepted.add(which);
        connection.accept();
        return;
      case "refuse":
        if (connection === undefined || accepted.has(which) || over.has(which)) return;
        over.add(which);
        connection.refuse();
        return;
      case "upstream-end":
      case "upstream-reset":
        if (!live) return;
        over.add(which);
        connection.close(step.do === "upstream-end" ? "end" : "reset");
        return;
      case "upstream-drain":
        if (live) connection.drain();
        return;
      case "upstream-blocks":
        if (live) connection.wire.room = 0;
        return;
      case "client-end":
        if (open.client) client.end();
        return;
      case "client-close":
        if (open.client) client.close();
        open.client = false;
        return;
      case "client-drain":
        client.wire.room = Number.POSITIVE_INFINITY;
        if (open.client) client.connection.onDrain();
        return;
      case "client-blocks":
        client.wire.room = 0;
        return;
      case "drain":
        client.connection.drain();
        return;
      case "wait":
        plane.clock.advance(step.ms);
        return;
      case "snapshot":
        plane.apply(shopSnapshot(...[endpoint(1), endpoint(2)].slice(0, step.endpoints)));
        return;
      default:
        await settle();
    }
  }
}

test("each request is counted once and nothing stays in flight, however it ends (property)", async () => {
  await fc.assert(
    fc.asyncProperty(history, async (events) => {
      const plane = new DataPlane(shopSnapshot(endpoint(1)));
      const hosts = new Set(plane.compiled.hosts);
      const apply = plane.apply.bind(plane);
      plane.apply = (snapshot) => {
        apply(snapshot);
        for (const host of plane.compiled.hosts) hosts.add(host);
      };
      const client = plane.caller();
      let accepted = 0;
      plane.onRequest = () => void accepted++;
      await play(plane, client, events);
      for (const host of hosts) expect([host.active, host.isIdle]).toEqual([0, true]);
      const edges = [...plane.edges.edges()];
      const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
      const requests = sum(edges.flatMap(({ series }) => series.map(({ count }) => count)));
      const connections = edges.flatMap((edge) => edge.connections);
      const closed = sum(connections.map((one) => one.closed));
      expect(requests + closed).toBe(accepted);
      expect(closed).toBe(sum(connections.map(({ opened }) => opened)));
    }),
    { seed: 31_337, numRuns: 800 },
  );
});
