/** What waits must not keep alive a much larger buffer that it is a part of: all that was received with it. */

/** The buffer may be so many times larger. */
const KEPT_SHARE = 1.25;

/** Whether the bytes can be kept as they are; else a copy costs less. */
export function isMostOfItsBuffer(bytes: Uint8Array): boolean {
  return bytes.buffer.byteLength <= bytes.length * KEPT_SHARE;
}
