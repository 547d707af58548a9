/** Upstreams that others wrote: node's http server, nginx and haproxy, each of which logs what it parsed. */
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { afterwards, until } from "./bowline.ts";

/** A request as an upstream understood it: whole, with the body that it found. */
export interface Parsed {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Latin-1. */
  readonly body: string;
}

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Every request so far, in the order of their ends. What was broken off or refused is none. */
  requests(): Parsed[];
}

/** What a peer is given: where to listen, and a directory for its files. */
export interface Place {
  readonly address: string;
  readonly port: number;
  readonly directory: string;
}

/** Tells the requests of a log apart. */
type Reader = (line: string) => Parsed | null;

/** Path of a program. Throws when it is not there, and names the Debian package that brings it. */
export function programPath(name: string, debianPackage: string): string {
  const path = Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` });
  if (path === null) throw new Error(`${name} is not installed: apt-get install ${debianPackage}`);
  return path;
}

export async function startNode(place: Place): Promise<Peer> {
  const script = `
    const { createServer } = require("node:http");
    const { appendFileSync } = require("node:fs");
    createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("error", () => {});
      request.on("end", () => {
        const { method, url: path, headers: { host } } = request;
        const body = Buffer.concat(chunks).toString("latin1");
        appendFileSync(${JSON.stringify(log(place))}, JSON.stringify({ method, path, host, body }) + "\\n");
        response.end("ok");
      });
    }).listen(${place.port}, ${JSON.stringify(place.address)});`;
  const argv = [programPath("node", "nodejs"), "--eval", script];
  return await startPeer("node", place, argv, (line) => JSON.parse(line) as Parsed);
}

/** The outer server hands on to an inner one, for only then does nginx read the body. */
export async function startNginx(place: Place): Promise<Peer> {
  const { directory, address, port } = place;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${directory}/nginx-${name};`).join("\n");
  const config = `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log /dev/null;
events {}
http {
${temporary}
  client_body_buffer_size 64k;
  client_body_in_single_buffer on;
  log_format parsed escape=json
    '{"status":"$status","method":"$request_method","path":"$request_uri","host":"$http_host","body":"$request_body"}';
  server {
    listen ${address}:${port};
    access_log ${log(place)} parsed;
    location / { proxy_pass http://${address}:${port + 1}; }
  }
  server {
    listen ${address}:${port + 1};
    access_log off;
    location / { return 200 ok; }
  }
}
`;
  writeFileSync(`${directory}/nginx.conf`, config);
  const argv = [programPath("nginx", "nginx"), "-e", "/dev/null", "-c", `${directory}/nginx.conf`];
  return await startPeer("nginx", place, argv, (line) => {
    const { status, ...parsed } = JSON.parse(line) as Parsed & { status: string };
    return status === "200" ? parsed : null;
  });
}

export async function startHaproxy(place: Place): Promise<Peer> {
  const file = `${place.directory}/haproxy.cfg`;
  writeFileSync(
    file,
    `global
  log stdout format raw daemon
defaults
  mode http
  option http-buffer-request
  timeout client 60s
  timeout http-request 60s
frontend web
  bind ${place.address}:${place.port}
  log global
  log-format "%ST %HM %HU %[capture.req.hdr(0)] %[capture.req.hdr(1)]"
  declare capture request len 256
  declare capture request len 65536
  http-request capture req.hdr(host) id 0
  http-request capture req.body,hex id 1
  http-request return status 200 content-type text/plain string ok
`,
  );
  const argv = [programPath("haproxy", "haproxy"), "-f", file];
  return await startPeer("haproxy", place, argv, (line) => {
    const [status, method = "", path = "", host = "", hex = ""] = line.split(" ");
    const body = hex === "-" ? "" : Buffer.from(hex, "hex").toString("latin1");
    return status === "200" ? { method, path, host, body } : null;
  });
}

/** All of them write to one file each; haproxy by way of its standard output. */
function log({ directory, port }: Place): string {
  return `${directory}/peer-${port}.log`;
}

async function startPeer(
  name: string,
  place: Place,
  argv: readonly string[],
  read: Reader,
): Promise<Peer> {
  const file = log(place);
  writeFileSync(file, "");
  const output = name === "haproxy" ? Bun.file(file) : "ignore";
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: output, stderr: "pipe" });
  await until(`${name} listens`, async () => {
    if (child.exitCode === null) return await accepts(place);
    throw new Error(`${name} ended with ${child.exitCode}: ${await new Response(child.stderr).text()}`);
  });
  afterwards(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  return {
    name,
    port: place.port,
    requests() {
      const lines = readFileSync(file, "utf8").split("\n");
      // What comes after the last line end is a line in the making.
      return lines.slice(0, -1).map(read).filter((parsed) => parsed !== null);
    },
  };
}

function accepts({ address, port }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
