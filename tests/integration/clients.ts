/** The clients: curl, as a person uses it, and a bare socket for what no decent client sends. */
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { CEILING_MS } from "./bowline.ts";
import type { Pair } from "./certificates.ts";

export interface CurlAnswer {
  readonly status: number;
  /** Lower-case name -> values. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
}

const CURL_FACTS = '%{stderr}{"status":%{http_code},"headers":%{header_json}}';

/** Runs curl. Throws when it could not get an answer. */
export async function curl(...args: readonly string[]): Promise<CurlAnswer> {
  const { code, stdout, stderr } = await runCurl(["--silent", "--write-out", CURL_FACTS, ...args]);
  if (code !== 0) throw new Error(`curl ${args.join(" ")} ended with ${code}: ${stderr}`);
  return { ...(JSON.parse(stderr) as Omit<CurlAnswer, "body">), body: stdout };
}

/** Runs curl with nothing but these arguments. */
export async function runCurl(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = Bun.spawn(["curl", "--max-time", "60", "--noproxy", "", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code: child.exitCode, stdout, stderr };
}

/** A request to a host of the mesh, by the sidecar at `sidecar`. */
export function viaSidecar(sidecar: string, host: string, path = "/", ...args: readonly string[]) {
  return curl("-H", `Host: ${host}`, ...args, `http://${sidecar}:15001${path}`);
}

export interface RawAnswer {
  /** Latin-1. */
  readonly text: string;
  /** The peer closed its side; false: the ceiling was reached first. */
  readonly closed: boolean;
}

/** Sends bytes and reads until the peer closes. The own side stays open. */
export function exchange(
  address: string,
  port: number,
  request: string | Uint8Array,
  ceilingMs = CEILING_MS,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host: address, port, allowHalfOpen: true });
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    const timer = setTimeout(() => finish(false), ceilingMs);
    socket.on("connect", () => socket.write(typeof request === "string" ? latin1(request) : request));
    socket.on("data", (chunk: Buffer) => text += chunk.toString("latin1"));
    socket.on("end", () => finish(true));
    // A reset closes as well; what came before it counts.
    socket.on("error", () => finish(true));
  });
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** One connection that stays open: several requests, one after the other. */
export class RawConnection {
  readonly #socket;
  #received = "";
  #closed = false;
  #wake: () => void = () => {};

  constructor(address: string, port: number) {
    this.#socket = connect({ host: address, port });
    this.#socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      this.#wake();
    });
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
    this.#socket.on("error", () => {});
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Resolves when the kernel has all that was sent. */
  sent(): Promise<void> {
    return new Promise((resolve) => void this.#socket.write("", () => resolve()));
  }

  /** Everything so far, as soon as it matches. Throws when the connection closes or the ceiling is reached before. */
  async read(expected: RegExp): Promise<string> {
    const deadline = performance.now() + CEILING_MS;
    while (!expected.test(this.#received)) {
      const leftMs = deadline - performance.now();
      if (this.#closed || leftMs <= 0) {
        throw new Error(`No ${expected} in ${JSON.stringify(this.#received.slice(0, 2_000))}`);
      }
      await Promise.race([new Promise<void>((resolve) => this.#wake = resolve), Bun.sleep(leftMs)]);
    }
    const text = this.#received;
    this.#received = "";
    return text;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Somebody with the key and certificate of a workload, at the mesh port of another one, or at another port. */
export async function intrude(
  { key, chain: cert }: Pair,
  host: string,
  port = 15008,
): Promise<TLSSocket> {
  const options = { key, cert, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] };
  const socket = connectTls({ host, port, ...options });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("secureConnect", resolve).once("close", resolve));
  return socket;
}
