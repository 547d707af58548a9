/**
 * A workload that can be killed: `echo_program.ts ADDRESS TCP_PORT WEB_SOCKET_PORT` sends back what it gets, at once at
 * the first port, after an upgrade at the second.
 */
import { createServer, type Socket } from "node:net";

const GRANTED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

function echo(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
}

function upgrade(socket: Socket): void {
  let head = "";
  const onData = (chunk: Buffer) => {
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    socket.off("data", onData);
    socket.write(GRANTED);
    socket.write(Buffer.from(head.slice(end + 4), "latin1"));
    echo(socket);
  };
  socket.on("data", onData);
}

const [address, ...ports] = process.argv.slice(2);
[echo, upgrade].forEach((serve, i) => {
  createServer({ allowHalfOpen: true }, serve).listen(
    Number(ports[i]),
    address,
    () => console.log("serving"),
  );
});
