/** HTTP/2 frames made and read by hand (RFC 9113 §4.1), so that the tests do not trust the code that they test. */
import { HpackDecoder } from "../../../../src/proxy/http2/hpack/decoder.ts";
import { decodeList } from "./hpack/field_list.ts";

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY_FLAG = 0x20;

/** Names of the error codes, by number (§7). */
const ERRORS = [
  ...[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
  ],
  ...[
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
  ],
];

export const CLIENT_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export function raw(type: number, flags: number, id: number, payload: Uint8Array | string = ""): Buffer {
  const content = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, content]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value, i * 4));
  return bytes;
}

export function data(id: number, content: Uint8Array | string, ended = false): Buffer {
  return raw(DATA, ended ? END_STREAM : 0, id, content);
}

/** Flat names and values; `ended`: the message has no body. */
export function headers(id: number, fields: readonly string[], ended = false): Buffer {
  return raw(HEADERS, END_HEADERS | (ended ? END_STREAM : 0), id, literals(fields));
}

export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([name, value], i) => {
    bytes.writeUInt16BE(name, i * 6);
    bytes.writeUInt32BE(value, i * 6 + 2);
  });
  return raw(SETTINGS, 0, 0, bytes);
}

export function rstStream(id: number, code: string): Buffer {
  return raw(RST_STREAM, 0, id, uint32(ERRORS.indexOf(code)));
}

export function windowUpdate(id: number, bytes: number): Buffer {
  return raw(WINDOW_UPDATE, 0, id, uint32(bytes));
}

export function goAway(lastId: number, code = "NO_ERROR"): Buffer {
  return raw(GOAWAY, 0, 0, uint32(lastId, ERRORS.indexOf(code)));
}

export function ping(opaque = "abcdefgh", flags = 0): Buffer {
  return raw(PING, flags, 0, opaque);
}

/** `GET /` with further fields. */
export function get(...fields: string[]): string[] {
  return [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", ...fields];
}

export function post(...fields: string[]): string[] {
  return [":method", "POST", ...get(...fields).slice(2)];
}

/** Fields as HPACK literals without indexing and without Huffman coding (RFC 7541 §6.2.2). */
export function literals(fields: readonly string[]): Buffer {
  const bytes: number[] = [];
  fields.forEach((text, i) => {
    if (i % 2 === 0) bytes.push(0x00);
    let { length } = text;
    if (length < 127) {
      bytes.push(length);
    } else {
      bytes.push(127);
      length -= 127;
      for (; length >= 128; length >>>= 7) bytes.push((length & 127) | 128);
      bytes.push(length);
    }
    for (const byte of Buffer.from(text, "latin1")) bytes.push(byte);
  });
  return Buffer.from(bytes);
}

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** Cuts what one end wrote into frames, however it arrives, and can tell each in a line. */
/** What every answer has (RFC 9110 §5.6.7). */
const DATE = / date=[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT/;

export class FrameLog {
  readonly #decoder = new HpackDecoder();
  #rest: Buffer = Buffer.alloc(0);
  #block: { id: number; flags: number; pieces: Buffer[] } | null = null;

  /** The frames that are whole; a client's preface is passed over. */
  cut(bytes: Buffer | string): RawFrame[] {
    let rest = Buffer.concat([this.#rest, typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes]);
    if (rest.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE)) {
      rest = rest.subarray(CLIENT_PREFACE.length);
    }
    const frames: RawFrame[] = [];
    while (rest.length >= 9) {
      const size = rest.readUIntBE(0, 3);
      if (rest.length < 9 + size) break;
      const [type, flags] = [rest[3] as number, rest[4] as number];
      frames.push({ type, flags, id: rest.readUInt32BE(5), payload: rest.subarray(9, 9 + size) });
      rest = rest.subarray(9 + size);
    }
    this.#rest = rest;
    return frames;
  }

  /**
   * A line for each frame; a header block is one line, decoded, whatever it was cut into, but for the date of an
   * answer.
   */
  tell(bytes: Buffer | string): string[] {
    return this.cut(bytes).map((frame) => this.#tell(frame)).filter((line) => line !== "");
  }

  #tell({ type, flags, id, payload }: RawFrame): string {
    const end = (flags & END_STREAM) !== 0 ? " END_STREAM" : "";
    const ack = (flags & ACK) !== 0 ? " ACK" : "";
    if (this.#block !== null && type !== CONTINUATION) throw new Error(`Frame ${type} inside a header block`);
    switch (type) {
      case DATA:
        return `DATA ${id} ${
          payload.length <= 40 ? JSON.stringify(payload.toString("latin1")) : payload.length
        }${end}`;
      case HEADERS:
        this.#block = { id, flags, pieces: [payload] };
        return this.#blockPiece(flags);
      case CONTINUATION:
        if (this.#block?.id !== id) throw new Error("CONTINUATION out of place");
        this.#block.pieces.push(payload);
        return this.#blockPiece(flags);
      case RST_STREAM:
        return `RST_STREAM ${id} ${ERRORS[payload.readUInt32BE()]}`;
      case SETTINGS: {
        const pairs: string[] = [];
        for (let at = 0; at < payload.length; at += 6) {
          pairs.push(` ${payload.readUInt16BE(at)}=${payload.readUInt32BE(at + 2)}`);
        }
        return `SETTINGS${ack}${pairs.join("")}`;
      }
      case PING:
        return `PING${ack} ${payload.toString("latin1")}`;
      case GOAWAY:
        return `GOAWAY ${payload.readUInt32BE()} ${ERRORS[payload.readUInt32BE(4)]}`;
      case WINDOW_UPDATE:
        return `WINDOW_UPDATE ${id} ${payload.readUInt32BE()}`;
      default:
        return `FRAME ${type}`;
    }
  }

  #blockPiece(flags: number): string {
    if ((flags & END_HEADERS) === 0) return "";
    const { id, flags: first, pieces } = this.#block as { id: number; flags: number; pieces: Buffer[] };
    this.#block = null;
    const list = decodeList(this.#decoder, Buffer.concat(pieces));
    if (typeof list === "string") throw new Error(`Header block is ${list}`);
    const fields = list.map((text, i) => i % 2 === 0 ? ` ${text}=` : text).join("").replace(DATE, "");
    return `HEADERS ${id}${(first & END_STREAM) !== 0 ? " END_STREAM" : ""}${fields}`;
  }
}
