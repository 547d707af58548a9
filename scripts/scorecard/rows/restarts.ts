/** Row 23: sidecars restart one after the other under load, and no request fails. */
import { type Bowline, until } from "../../../tests/integration/bowline.ts";
import { RawConnection } from "../../../tests/integration/clients.ts";
import { Load } from "../../../tests/integration/keep_alive_client.ts";
import { atMost, type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, storeAnswer } from "../stand.ts";

const RESTARTS = { full: 10, small: 2 };
const CLIENTS = 32;
/** One request in so many takes a while, so that a drain always finds some in flight. */
const SLOW_EVERY = 50;

/** An HTTP/2 client's first bytes: the preface and empty SETTINGS. */
const HTTP2_HELLO = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/** GOAWAY with any last stream, NO_ERROR. */
const GOAWAY = /\0\0\x08\x07\0\0\0\0\0[^]{4}\0\0\0\0/;

/** A second signal that follows sooner than this is taken for the same one. */
const SECOND_SIGNAL_MS = 600;

export const restarts: Row = {
  name: "23",
  what: "SIGTERM and rolling restarts",
  async run(size) {
    const stand = await Stand.up({ replicas: 2 });
    try {
      return [
        ...await storesRestart(stand, RESTARTS[size]),
        ...await clientRestarts(stand, RESTARTS[size]),
        ...await secondSignal(stand),
      ];
    } finally {
      await stand.down();
    }
  },
};

function loadOf(stand: Stand): Load {
  return new Load(stand.target(), {
    clients: CLIENTS,
    path: (index) => index % SLOW_EVERY === 0 ? `/slow-${index}` : `/load-${index}`,
    pauseMs: () => 2,
    expected: storeAnswer,
  });
}

/** Each replica in turn; the callers never notice. */
async function storesRestart(stand: Stand, restarts: number): Promise<Check[]> {
  const probe = stand.probe();
  const load = loadOf(stand).start();
  const codes = new Set<number | null>();
  let slowestMs = 0;
  for (let i = 0; i < restarts; i++) {
    for (let replica = 0; replica < stand.replicas; replica++) {
      const startedMs = performance.now();
      codes.add(await (stand.stores[replica] as Bowline).end());
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      await stand.restartStore(replica);
      await stand.mesh.untilSynced(1 + stand.replicas);
    }
  }
  return [
    noneFailed(
      `requests while the two sidecars of the service restart ${restarts} times each`,
      await load.stop(),
    ),
    noneFailed("probe", await probe.stop()),
    exactly("exit codes", [...codes], "0"),
    atMost("slowest drain", slowestMs / 1_000, 30, "s"),
  ];
}

/** The caller's own sidecar: its program hears `connection: close` or finds nobody, but never half an answer. */
async function clientRestarts(stand: Stand, restarts: number): Promise<Check[]> {
  const load = loadOf(stand).start();
  const codes = new Set<number | null>();
  let slowestMs = 0;
  let goAways = 0;
  for (let i = 0; i < restarts; i++) {
    await until("load", ((before) => () => load.tally.get(200) > before + 200)(load.tally.get(200)));
    const http2 = new RawConnection(stand.clientAddress, 15001);
    http2.send(HTTP2_HELLO);
    await http2.read(/\0\0\0\x04\x01\0\0\0\0/);
    const startedMs = performance.now();
    const ending = stand.client.end();
    await http2.read(GOAWAY);
    goAways++;
    codes.add(await ending);
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    http2.close();
    await stand.restartClient();
  }
  const tally = await load.stop();
  return [
    noneFailed(`requests while the caller's own sidecar restarts ${restarts} times`, tally),
    exactly("exit codes", [...codes], "0"),
    exactly("GOAWAY to an HTTP/2 client", goAways, restarts),
    {
      what: "answers with connection: close",
      bar: "≥ 1",
      measured: `${load.closesHeard}`,
      ok: load.closesHeard > 0,
    },
    atMost("slowest drain", slowestMs / 1_000, 30, "s"),
  ];
}

/** A drain that would take as long as a request that never ends. */
async function secondSignal(stand: Stand): Promise<Check[]> {
  const held = new RawConnection(stand.clientAddress, 15001);
  const { host } = stand.target();
  held.send(`GET /held HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await until("the request is held", () => stand.held > 0);
  stand.client.child.kill("SIGTERM");
  await Bun.sleep(SECOND_SIGNAL_MS);
  const drains = stand.client.isAlive;
  const startedMs = performance.now();
  stand.client.child.kill("SIGTERM");
  const code = await stand.client.endsByItself();
  held.close();
  return [
    exactly("it drains while a request is in flight", drains, true),
    exactly("exit code after a second SIGTERM", code, 143),
    atMost("time that it takes", (performance.now() - startedMs) / 1_000, 1, "s"),
  ];
}
