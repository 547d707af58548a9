/**
 * Programs on a machine of `machines.ts`, each a process of its own.
 * `serve NAME KEY CERTIFICATE`: servers of all sorts on every address. `talk HOST PORT [greeted]`: sends standard input
 * and prints what comes, and with `greeted` says nothing before the server has. `hold HOST PORT`: the same for as long as
 * the connection stands, whatever the input. `load HOST PORT AUTHORITY`: sends requests until its input ends; a line for
 * whenever what a program is shown of its caller's certificate has changed, and one of what became of them all.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, createServer, type Socket } from "node:net";
import { KeepAliveLoad } from "./keep_alive_load.ts";

/** Whose server speaks first, which no file declares, and which no service has. */
export const PORT = {
  http: 8080,
  database: 5432,
  chatty: 7000,
  tls: 8443,
  undeclared: 2222,
  redis: 6379,
} as const;

export const GREETING = "220 ready\n";

function serve(name: string, key: string, certificate: string): void {
  const echo: RequestListener = ({ method, url, headers, socket }, response) => {
    response.end(JSON.stringify({ name, method, path: url, headers, from: socket.remoteAddress }));
  };
  createHttpServer(echo).listen(PORT.http);
  createHttpsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, echo).listen(PORT.tls);
  for (const port of [PORT.database, PORT.chatty, PORT.undeclared]) {
    createServer({ allowHalfOpen: true }, (socket) => greetAndCount(name, socket)).listen(port);
  }
  console.log("serving");
}

/** After the client's end: who it is, where the client came from, how much came and its hash, and all of it back. */
function greetAndCount(name: string, socket: Socket): void {
  const received: Buffer[] = [];
  socket.write(GREETING);
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  socket.on("end", () => {
    const all = Buffer.concat(received);
    const hash = createHash("sha256").update(all).digest("hex");
    socket.write(`${name} ${socket.remoteAddress} ${all.length} ${hash}\n`);
    socket.end(all);
  });
  socket.on("error", () => socket.destroy());
}

async function talk(host: string, port: number, greeted: boolean): Promise<void> {
  const input = Buffer.from(await Bun.stdin.arrayBuffer());
  const socket = connect({ host, port, allowHalfOpen: true });
  let heard = false;
  socket.on("data", (chunk: Buffer) => {
    process.stdout.write(chunk);
    if (greeted && !heard) socket.end(input);
    heard = true;
  });
  socket.on("connect", () => {
    if (!greeted) socket.end(input);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    console.error(error.code);
    process.exitCode = 1;
  });
}

async function hold(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  socket.on("data", (chunk: Buffer) => process.stdout.write(chunk));
  socket.on("error", () => {});
  socket.on("close", () => process.exit());
  for await (const chunk of Bun.stdin.stream()) socket.write(chunk);
}

const LOAD_CLIENTS = 4;
const LOAD_LOOK_MS = 10;

/** What `load` says at its end. */
export interface LoadOutcome {
  readonly answered: number;
  readonly failures: readonly string[];
}

async function load(address: string, port: number, host: string): Promise<void> {
  const requests = new KeepAliveLoad({ address, port, host }, LOAD_CLIENTS);
  let said = "";
  const timer = setInterval(() => {
    const shown = [
      ...new Set(requests.latest.map((body) => body.includes(CERTIFICATE) ? "mutual" : "plain")),
    ];
    if (shown.length !== 1 || shown[0] === said) return;
    console.log(said = shown[0] as string);
  }, LOAD_LOOK_MS);
  await Bun.stdin.text();
  clearInterval(timer);
  await requests.stop();
  const { answered, failures } = requests;
  console.log(JSON.stringify({ answered, failures } satisfies LoadOutcome));
}

const CERTIFICATE = "x-forwarded-client-cert";

if (import.meta.main) {
  const [what, first = "", second = "", third = ""] = process.argv.slice(2);
  if (what === "serve") serve(first, second, third);
  else if (what === "hold") await hold(first, Number(second));
  else if (what === "load") await load(first, Number(second), third);
  else await talk(first, Number(second), third === "greeted");
}
