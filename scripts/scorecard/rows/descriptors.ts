/** Row 21: more clients than descriptors. What is there goes on, what is too much hears so, and it costs next to nothing. */
import { until } from "../../../tests/integration/bowline.ts";
import { KeepAliveClient, Tally } from "../../../tests/integration/keep_alive_client.ts";
import { cpuShare, descriptors, metric } from "../../../tests/integration/process_figures.ts";
import { atMost, exactly, noneFailed, type Row } from "../row.ts";
import { SlowPeer } from "../slow_peer.ts";
import { Stand } from "../stand.ts";

const SIZES = { full: { openFiles: 1_024, flood: 4_000 }, small: { openFiles: 128, flood: 400 } };
const LIVE = 20;
const CPU_MS = { full: 10_000, small: 2_000 };

export const noDescriptors: Row = {
  name: "21",
  what: "file descriptors exhausted",
  async run(size) {
    const { openFiles, flood } = SIZES[size];
    const stand = await Stand.up({ clientOpenFilesMax: openFiles });
    const { address, port, host } = stand.target();
    try {
      const live = Array.from({ length: LIVE }, () => new KeepAliveClient(stand.target()));
      const tally = new Tally();
      const ask = () => Promise.all(live.map(async (one) => tally.add(await one.get("/live"))));
      await ask();
      const peers = (await Promise.allSettled(
        Array.from({ length: flood }, () => SlowPeer.open(address, port)),
      )).flatMap((opened) => opened.status === "fulfilled" ? [opened.value] : []);
      for (const peer of peers) peer.say(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await until(
        "the flood is refused",
        async () => await metric(address, "bowline_downstream_connections_refused_total") > flood / 4,
      );
      const share = await cpuShare(stand.client, CPU_MS[size]);
      const open = descriptors(stand.client);
      for (let i = 0; i < 5; i++) await ask();
      const health = (await fetch(`http://${address}:15021/healthz/ready`)).status;
      for (const peer of peers) peer.close();
      const freedMs = performance.now();
      const fresh = new Tally();
      await until("a new client is served", async () => {
        const client = new KeepAliveClient(stand.target());
        const outcome = await client.get("/fresh");
        client.close();
        if (outcome === 200) fresh.add(outcome);
        return outcome === 200;
      });
      const recoveryS = (performance.now() - freedMs) / 1_000;
      for (const one of live) one.close();
      return [
        noneFailed(`requests of ${LIVE} clients that were there before ${flood} came`, tally),
        exactly("health port while they stand", health, 200),
        atMost(`descriptors, of ${openFiles}`, open, openFiles),
        atMost("CPU while they stand", share * 100, 20, "%"),
        atMost("a new client is served after they left, in", recoveryS, 1, "s"),
      ];
    } finally {
      await stand.down();
    }
  },
};
