/**
 * A proxy as the control plane sees one, in a few kilobytes: TLS 1.3 with a workload certificate, one discovery stream on
 * HTTP/1.1, an ACK for every push. It keeps no snapshot: what it knows is a record that all clients with one view share.
 */
import { DISCOVERY_PROTOCOL, type Hello } from "../../src/model/discovery.ts";
import { connect } from "../../src/runtime/socket.ts";
import type { TlsMaterial } from "../../src/runtime/tls_options.ts";
import type { TlsWire, TlsWireOwner, Wire } from "../../src/runtime/wire.ts";

export interface LightClientOptions {
  readonly address: { readonly hostname: string; readonly port: number };
  /** `NAMESPACE/NAME`. */
  readonly workload: string;
  readonly tls: TlsMaterial;
  /** A push was answered; `line` is there only while it is short. */
  onPush(client: LightClient, push: ReceivedPush): void;
  onClosed(client: LightClient, error?: Error): void;
}

export interface ReceivedPush {
  readonly atMs: number;
  readonly bytes: number;
  /** The whole line, or its beginning where it is longer than LINE_KEPT_BYTES. */
  readonly text: string;
  readonly whole: boolean;
}

/** Of a line no more is kept, unless somebody wants all of it. */
const LINE_KEPT_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

const encoder = new TextEncoder();

export class LightClient implements TlsWireOwner {
  readonly #options: LightClientOptions;
  #wire: Wire | null = null;
  #unsent: Uint8Array | null = null;
  #headRead = false;
  /** Bytes of a chunk that are still to come; null: its size is. */
  #chunkLeft: number | null = null;
  #sizeText = "";
  #line: Uint8Array[] = [];
  #lineKept = 0;
  #lineBytes = 0;
  /** The next push is kept whole, whatever its length. */
  keepsWhole = false;
  bytesReceived = 0;
  hello = "";

  constructor(options: LightClientOptions) {
    this.#options = options;
  }

  get workload(): string {
    return this.#options.workload;
  }

  /** `snapshot` is the version of what it has from before. */
  open(snapshot: string | undefined): void {
    const { address, workload, tls } = this.#options;
    const hello: Hello = {
      type: "hello",
      protocol: DISCOVERY_PROTOCOL,
      version: "0.1.0",
      role: "sidecar",
      workload,
      address: "127.0.0.1",
      meshPort: 15_008,
      known: {},
      unpacks: true,
      ...snapshot === undefined ? {} : { snapshot },
    };
    this.hello = `${JSON.stringify(hello)}\n`;
    this.#headRead = false;
    this.#chunkLeft = null;
    this.#sizeText = "";
    this.#forgetLine();
    connect(address, tls, {
      opened: (wire) => {
        this.#wire = wire;
        return this;
      },
      failed: (error) => this.onClose(error),
    });
  }

  close(): void {
    this.#wire?.terminate();
  }

  onHandshake(_wire: TlsWire, error: Error | null): void {
    // The name of a SPIFFE certificate is no host's.
    if (error !== null && (error as { code?: string }).code !== "ERR_TLS_CERT_ALTNAME_INVALID") {
      this.#wire?.terminate();
      return;
    }
    const { hostname, port } = this.#options.address;
    this.#write(encoder.encode(
      `POST /v1/discovery HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n` +
        `transfer-encoding: chunked\r\n\r\n`,
    ));
    this.#send(this.hello);
    this.hello = "";
  }

  onData(data: Buffer): void {
    this.bytesReceived += data.length;
    let at = 0;
    if (!this.#headRead) {
      // The head is small, and comes in one piece.
      at = data.indexOf("\r\n\r\n") + 4;
      if (at < 4 || !data.subarray(0, 12).equals(Buffer.from("HTTP/1.1 200"))) {
        this.#wire?.terminate();
        return;
      }
      this.#headRead = true;
    }
    while (at < data.length) {
      if (this.#chunkLeft === null) at = this.#readSize(data, at);
      else at = this.#readChunk(data, at);
    }
  }

  onDrain(): void {
    const rest = this.#unsent;
    this.#unsent = null;
    if (rest !== null) this.#write(rest);
  }

  onEnd(): void {
    this.#wire?.end();
  }

  onClose(error?: Error): void {
    this.#wire = null;
    this.#unsent = null;
    this.#options.onClosed(this, error);
  }

  /** Reads `HEX\r\n`, and the line end of the chunk before it. */
  #readSize(data: Buffer, from: number): number {
    for (let at = from; at < data.length; at++) {
      const byte = data[at] as number;
      if (byte === CARRIAGE_RETURN) continue;
      if (byte !== LINE_FEED) this.#sizeText += String.fromCharCode(byte);
      else if (this.#sizeText !== "") {
        this.#chunkLeft = Number.parseInt(this.#sizeText, 16);
        this.#sizeText = "";
        return at + 1;
      }
    }
    return data.length;
  }

  #readChunk(data: Buffer, from: number): number {
    const end = Math.min(data.length, from + (this.#chunkLeft as number));
    for (let at = from; at < end;) {
      const found = data.indexOf(LINE_FEED, at);
      const lineEnd = found < 0 || found >= end ? end : found;
      this.#keep(data, at, lineEnd);
      if (lineEnd < end) this.#endLine();
      at = lineEnd + 1;
    }
    const left = (this.#chunkLeft as number) - (end - from);
    this.#chunkLeft = left === 0 ? null : left;
    return end;
  }

  #keep(data: Buffer, from: number, to: number): void {
    this.#lineBytes += to - from;
    const room = this.keepsWhole ? Infinity : LINE_KEPT_BYTES - this.#lineKept;
    if (room <= 0 || to === from) return;
    const piece = Uint8Array.prototype.slice.call(data, from, Math.min(to, from + room));
    this.#line.push(piece);
    this.#lineKept += piece.length;
  }

  #endLine(): void {
    const text = Buffer.concat(this.#line).toString();
    const bytes = this.#lineBytes;
    const whole = this.#lineKept === bytes;
    this.#forgetLine();
    const nonce = /^\{"type":"push","nonce":(\d+),/.exec(text)?.[1];
    if (nonce === undefined) return;
    this.#send(`{"type":"ack","nonce":${nonce}}\n`);
    this.#options.onPush(this, { atMs: performance.now(), bytes, text, whole });
  }

  #forgetLine(): void {
    this.#line = [];
    this.#lineKept = 0;
    this.#lineBytes = 0;
  }

  /** One message, as one chunk of the request's body. */
  heartbeat(): void {
    this.#send('{"type":"heartbeat"}\n');
  }

  #send(line: string): void {
    const bytes = encoder.encode(line);
    this.#write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]));
  }

  #write(bytes: Uint8Array): void {
    if (this.#wire === null) return;
    if (this.#unsent !== null) {
      this.#unsent = Buffer.concat([this.#unsent, bytes]);
      return;
    }
    const taken = Math.max(0, this.#wire.write(bytes));
    if (taken < bytes.length) this.#unsent = bytes.subarray(taken);
  }
}
