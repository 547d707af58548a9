/** When the certificates of this CA begin and end, and how they are numbered. */

const SECOND_MS = 1000;
const SERIAL_BYTES = 16;

/** How far notBefore lies in the past, for peers whose clocks are behind. */
export const BACK_DATE_MS = 5 * 60 * SECOND_MS;

/** Certificates count time in seconds; rounds down. */
export function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}

/** 126 random bits between a leading 01: positive, never padded, of one length, and unique across restarts. */
export function randomSerial(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes;
}
