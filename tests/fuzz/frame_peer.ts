/** An end of HTTP/2 that keeps all that it hears of each stream, to hold it to what was said. */
import { HpackDecoder } from "../../src/proxy/http2/hpack/decoder.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import { decodeList } from "../unit/proxy/http2/hpack/field_list.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameLog,
  GOAWAY,
  HEADERS,
  PING,
  raw,
  RST_STREAM,
  SETTINGS,
  windowUpdate,
} from "../unit/proxy/http2/raw_frames.ts";
import type { End } from "./joined_planes.ts";

/** One direction of a stream. */
export interface Said {
  /** Of the head that counts: no 1xx. */
  fields: string[] | null;
  informed: number;
  body: string;
  trailers: string[] | null;
  ended: boolean;
  reset: boolean;
}

/** Reads frames, and gives credit for all that comes. */
export class FramePeer implements WireOwner {
  readonly streams = new Map<number, Said>();
  wire!: End;
  gone = false;
  goneAway = false;
  readonly #log = new FrameLog();
  readonly #decoder = new HpackDecoder();
  #block: { id: number; flags: number; pieces: Buffer[] } | null = null;

  constructor(readonly onMessage: (id: number, said: Said) => void = () => {}) {}

  onData(chunk: Buffer): void {
    for (const { type, flags, id, payload } of this.#log.cut(chunk)) {
      if (type === SETTINGS && (flags & ACK) === 0) this.wire.write(raw(SETTINGS, ACK, 0));
      else if (type === PING && (flags & ACK) === 0) this.wire.write(raw(PING, ACK, 0, payload));
      else if (type === HEADERS) this.#headers(id, flags, payload);
      else if (type === CONTINUATION) this.#headers(id, flags, payload);
      else if (type === RST_STREAM) this.#of(id).reset = true;
      else if (type === GOAWAY) this.goneAway = true;
      else if (type === DATA) {
        const said = this.#of(id);
        said.body += payload.toString("latin1");
        if (payload.length > 0) this.wire.write(windowUpdate(0, payload.length));
        if (payload.length > 0 && (flags & END_STREAM) === 0) {
          this.wire.write(windowUpdate(id, payload.length));
        }
        this.#heard(id, said, (flags & END_STREAM) !== 0);
      }
    }
  }

  onDrain(): void {}

  onEnd(): void {
    this.gone = true;
    this.wire.end();
  }

  onClose(): void {
    this.gone = true;
  }

  #of(id: number): Said {
    let said = this.streams.get(id);
    if (said === undefined) {
      said = { fields: null, informed: 0, body: "", trailers: null, ended: false, reset: false };
      this.streams.set(id, said);
    }
    return said;
  }

  #headers(id: number, flags: number, payload: Buffer): void {
    this.#block ??= { id, flags, pieces: [] };
    this.#block.pieces.push(payload);
    if ((flags & END_HEADERS) === 0) return;
    const list = decodeList(this.#decoder, Buffer.concat(this.#block.pieces));
    if (typeof list === "string") throw new Error(`A header block is ${list}`);
    const ended = (this.#block.flags & END_STREAM) !== 0;
    this.#block = null;
    const said = this.#of(id);
    if (said.fields !== null) said.trailers = list;
    else if (/^1/.test(field(list, ":status") ?? "")) said.informed++;
    else said.fields = list;
    this.#heard(id, said, ended);
  }

  #heard(id: number, said: Said, ended: boolean): void {
    said.ended = ended;
    this.onMessage(id, said);
  }
}

export function field(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
