/** Long texts made small enough to stand in a line of JSON: gzip (RFC 1952) in base64 (RFC 4648 §4). */

/** The fastest level: a snapshot becomes a tenth of its size, higher levels gain little and cost several times as much. */
const LEVEL = 1;

/** Where the length of the unpacked bytes stands, from the end. */
const LENGTH_BYTES = 4;

export class PackedTextError extends Error {
  override readonly name = "PackedTextError";
}

export function packText(text: string): string {
  return Bun.gzipSync(new TextEncoder().encode(text), { level: LEVEL }).toBase64();
}

/** Throws PackedTextError for what packText() did not make, or for more than `bytesMax` bytes of text. */
export function unpackText(packed: string, bytesMax: number): string {
  let bytes: Uint8Array<ArrayBuffer>;
  let length: number;
  try {
    bytes = Uint8Array.fromBase64(packed);
    length = new DataView(bytes.buffer).getUint32(bytes.length - LENGTH_BYTES, true);
  } catch (cause) {
    throw new PackedTextError("It is not base64 of gzip", { cause });
  }
  if (length > bytesMax) throw new PackedTextError(`It unpacks to more than ${bytesMax} bytes`);
  try {
    return new TextDecoder().decode(Bun.gunzipSync(bytes));
  } catch (cause) {
    throw new PackedTextError("It is not gzip", { cause });
  }
}
