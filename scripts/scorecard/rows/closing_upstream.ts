/** Row 13: an upstream that closes idle keep-alive connections at random, often just as a request comes. */
import { closeAtRandom, startFaulty } from "../../../tests/integration/faulty_upstream.ts";
import { Load } from "../../../tests/integration/keep_alive_client.ts";
import { atMost, noneFailed, type Row } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";

const REQUESTS = { full: 100_000, small: 2_000 };
const CLIENTS = 32;
/** About as long as the upstream waits before it closes. */
const PAUSE_MS_MAX = 2;

export const closingUpstream: Row = {
  name: "13",
  what: "the upstream closes an idle connection as a request is sent",
  async run(size) {
    const stand = await Stand.up();
    const upstream = await startFaulty(stand.storeAddress(), STORE_PORTS.closing, closeAtRandom);
    try {
      const probe = stand.probe();
      const load = new Load(stand.target("closing"), {
        clients: CLIENTS,
        pauseMs: () => Math.random() * PAUSE_MS_MAX,
        expected: (path) => `good ${path}`,
      });
      const tally = await load.start(REQUESTS[size]).over();
      return [
        noneFailed("GETs", tally),
        atMost("requests that nobody accepted", tally.get("refused"), 0),
        noneFailed("probe", await probe.stop()),
      ];
    } finally {
      await upstream.stop();
      await stand.down();
    }
  },
};
