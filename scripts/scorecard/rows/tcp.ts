/** Row 17: TCP through the mesh, byte for byte, each half to its own end. */
import { until } from "../../../tests/integration/bowline.ts";
import { databaseTunnel, sendBytes, startDatabase } from "../../../tests/integration/tunnel_peers.ts";
import { exactly, noneFailed, type Row } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";

const BYTES = { full: 1024 ** 3, small: 20 * 1024 ** 2 };
const SHORT_TUNNELS = { full: 200, small: 10 };

export const tcp: Row = {
  name: "17",
  what: "TCP: 1 GB, half-close, reset, server first",
  async run(size) {
    const stand = await Stand.up();
    const database = await startDatabase(stand.storeAddress(), STORE_PORTS["tcp-db"]);
    const target = stand.target("tcp-db");
    try {
      const probe = stand.probe();
      const up = await databaseTunnel(target);
      const sent = await sendBytes(up.socket, BYTES[size]);
      const said = (await up.heard).start;
      const down = await databaseTunnel(target);
      down.socket.end(`${BYTES[size]} please\n`);
      const { bytes, hash } = await down.heard;
      let whole = 0;
      for (let i = 0; i < SHORT_TUNNELS[size]; i++) {
        const { socket, heard } = await databaseTunnel(target);
        socket.end(`short ${i}`);
        if ((await heard).start.startsWith(`${`short ${i}`.length} `)) whole++;
      }
      await until("all have ended", () => database.endings.length === SHORT_TUNNELS[size] + 2);
      const ended = new Set(database.endings.splice(0));
      for (let i = 0; i < SHORT_TUNNELS[size]; i++) {
        const { socket } = await databaseTunnel(target);
        socket.write("half a mess");
        await Bun.sleep(5);
        socket.resetAndDestroy();
      }
      await until("all are reset", () => database.endings.length >= SHORT_TUNNELS[size]);
      const mib = `${BYTES[size] / 1024 ** 2} MiB`;
      return [
        exactly(`${mib} there, by SHA-256, then the answer`, said.trim(), `${BYTES[size]} ${sent}`),
        exactly(
          `${mib} back after the client's half has ended`,
          `${bytes} ${hash}`,
          `${BYTES[size]} ${sent}`,
        ),
        exactly("short tunnels, greeted first, whole both ways", whole, SHORT_TUNNELS[size]),
        exactly("how they ended for the server", [...ended], "whole"),
        exactly(
          "resets that looked like an end",
          database.endings.filter((one) => one === "whole").length,
          0,
        ),
        noneFailed("probe", await probe.stop()),
      ];
    } finally {
      database.stop();
      await stand.down();
    }
  },
};
