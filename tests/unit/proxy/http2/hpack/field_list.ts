/** Takes the fields of a header block as they come: name, value, name, value … */
import type { FieldKind } from "../../../../../src/proxy/http2/field_kind.ts";
import type { DecodeOutcome, FieldSink, HpackDecoder } from "../../../../../src/proxy/http2/hpack/decoder.ts";

export class FieldList implements FieldSink {
  readonly list: string[] = [];
  readonly kinds: FieldKind[] = [];
  readonly secrets: string[] = [];

  field(name: string, value: string, kind: FieldKind): void {
    this.list.push(name, value);
    this.kinds.push(kind);
  }

  neverIndexed(name: string): void {
    this.secrets.push(name);
  }
}

/** The fields of a block, or what is wrong with it. */
export function decodeList(
  decoder: HpackDecoder,
  block: Buffer,
  bytesMax = 1e9,
  fieldsMax = 1e9,
): string[] | Exclude<DecodeOutcome, "ok"> {
  const fields = new FieldList();
  const outcome = decoder.decode(block, fields, bytesMax, fieldsMax);
  return outcome === "ok" ? fields.list : outcome;
}
