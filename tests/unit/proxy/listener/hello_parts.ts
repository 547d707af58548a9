/** ClientHellos from their parts, for what no client would send. */

/** RFC 8446 §5.1. */
export const FRAGMENT_BYTES_MAX = 16_384;

/** Bytes with their length before them, in so many bytes. */
export function counted(lengthBytes: number, bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

export function extension(type: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), counted(2, content)]);
}

export function serverName(name: string): Buffer {
  const entry = Buffer.concat([Buffer.from([0]), counted(2, Buffer.from(name, "latin1"))]);
  return extension(0, counted(2, entry));
}

/** The handshake message. */
export function message(...extensions: Uint8Array[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    counted(1, Buffer.alloc(32)),
    counted(2, Buffer.from([0x13, 0x01])),
    counted(1, Buffer.from([0])),
    counted(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1]), counted(3, body)]);
}

/** In records with at most so many bytes of it each. */
export function records(message: Uint8Array, fragmentBytesMax = FRAGMENT_BYTES_MAX): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += fragmentBytesMax) {
    parts.push(Buffer.from([22, 3, 1]), counted(2, message.subarray(at, at + fragmentBytesMax)));
  }
  return Buffer.concat(parts);
}
