/** Of row 9: tunnels of which one end reads nothing, and the other sends as much as it can. */
import { connect, createServer, type Socket } from "node:net";
import { until } from "../../../tests/integration/bowline.ts";
import { MemoryBefore } from "../memory_growth.ts";
import type { Check, Size } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";

const TUNNELS = { full: 500, small: 20 };
/** More than anybody takes. */
const SENT_BYTES = 100 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, "a");
const GIVE_UP_MS = 30_000;
const SETTLE_MS = 2_000;

export async function unreadTunnels(size: Size): Promise<Check[]> {
  return [...await unreadBy("client", size), ...await unreadBy("server", size)];
}

/** On a stand of its own: what another had in memory would be used again. */
async function unreadBy(end: "client" | "server", size: Size): Promise<Check[]> {
  const count = TUNNELS[size];
  const stand = await Stand.up();
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.push(socket.on("error", () => {}));
    if (end === "client") flood(socket);
  });
  try {
    await new Promise<void>((resolve) => server.listen(STORE_PORTS["tcp-db"], stand.storeAddress(), resolve));
    const { address, port, host } = stand.target("tcp-db");
    const before = new MemoryBefore(stand);
    let open = 0;
    for (let i = 0; i < count; i++) {
      const client = connect(port, address);
      sockets.push(client.on("error", () => {}));
      client.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      client.once("data", () => {
        open++;
        client.pause();
        if (end === "server") flood(client);
      });
    }
    await until("all tunnels are open", () => open === count, GIVE_UP_MS);
    await Bun.sleep(SETTLE_MS);
    return await before.growth(count, size, `${count} tunnels: memory where the ${end} does not read`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await stand.down();
  }
}

function flood(socket: Socket): void {
  let left = SENT_BYTES;
  const send = () => {
    while (left > 0 && socket.write(PIECE)) left -= PIECE.length;
  };
  socket.on("drain", send);
  send();
}
