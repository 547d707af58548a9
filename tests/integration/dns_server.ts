/** A name server of a test's own: it answers for A records what it is told to, and knows no other name. */
import { afterwards } from "./bowline.ts";

const PORT = 53;
const TYPE_A = 1;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const ANSWER = 0x8180;
const NO_SUCH_NAME = 0x8183;
/** A pointer to the question's name (RFC 1035 §4.1.4). */
const SAME_NAME = 0xc00c;

export class DnsServer {
  /** IPv4 addresses by lower-case name. */
  readonly records = new Map<string, readonly string[]>();
  /** Names about which it says nothing at all. */
  readonly silent = new Set<string>();
  readonly ttlSeconds: number;
  /** How often each name was asked for, by lower-case name. */
  readonly asked = new Map<string, number>();

  constructor(ttlSeconds: number) {
    this.ttlSeconds = ttlSeconds;
  }

  async start(address: string): Promise<void> {
    const socket = await Bun.udpSocket({
      hostname: address,
      port: PORT,
      socket: {
        data: (socket, query, port, from) => {
          if (!this.silent.has(readName(query).name)) socket.send(this.#answer(query), port, from);
        },
      },
    });
    afterwards(() => socket.close());
  }

  #answer(query: Buffer): Buffer {
    const { name, end } = readName(query);
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    const known = this.records.get(name);
    const addresses = query.readUInt16BE(end) === TYPE_A ? known ?? [] : [];
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(known === undefined ? NO_SUCH_NAME : ANSWER, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    const records = addresses.map((address) => this.#record(address));
    return Buffer.concat([header, query.subarray(HEADER_BYTES, end + 4), ...records]);
  }

  #record(address: string): Buffer {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(SAME_NAME, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(CLASS_IN, 4);
    record.writeUInt32BE(this.ttlSeconds, 6);
    record.writeUInt16BE(4, 10);
    record.set(address.split(".").map(Number), 12);
    return record;
  }
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}
