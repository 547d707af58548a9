/** Writes DER (X.690): just enough for a certificate signing request, so that a sidecar needs no ASN.1 library. */

/** One element: identifier octet, length in its shortest form, and the parts one after the other. */
export function derElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = [tag, ...derLength(length)];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let at = header.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** INTEGER from a big-endian number without a sign. */
export function derUnsignedInteger(bigEndian: Uint8Array): Uint8Array {
  let from = 0;
  while (from < bigEndian.length - 1 && bigEndian[from] === 0) from++;
  const digits = bigEndian.subarray(from);
  // A leading bit would make it negative.
  const sign = (digits[0] ?? 0) >= 0x80 || digits.length === 0 ? new Uint8Array(1) : new Uint8Array(0);
  return derElement(0x02, sign, digits);
}

/** BIT STRING of whole octets. */
export function derBitString(content: Uint8Array): Uint8Array {
  return derElement(0x03, new Uint8Array(1), content);
}

function derLength(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}
