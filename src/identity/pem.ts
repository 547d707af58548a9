/** PEM (RFC 7468): blocks of base64 between BEGIN and END lines, with anything else around them. */
import { IdentityError } from "./identity_error.ts";

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`, `CERTIFICATE REQUEST`. */
  readonly label: string;
  readonly der: Uint8Array<ArrayBuffer>;
}

const BEGIN = "-----BEGIN ";
const DASHES = "-----";
const LINE_CHARACTERS = 64;

/** All blocks in their order; throws IdentityError `pem_malformed` when one is cut off or is not base64. */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf(BEGIN); at !== -1; at = text.indexOf(BEGIN, at)) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length);
    const label = labelEnd === -1 ? "" : text.slice(at + BEGIN.length, labelEnd);
    if (!/^[A-Z0-9 ]{1,64}$/.test(label)) throw malformed("a BEGIN line without a proper label");
    const endLine = `-----END ${label}-----`;
    const end = text.indexOf(endLine, labelEnd);
    if (end === -1) throw malformed(`the beginning of ${label} without its END line`);
    blocks.push({ label, der: decodeBase64(text.slice(labelEnd + DASHES.length, end), label) });
    at = end + endLine.length;
  }
  return blocks;
}

/** The one block of a text that must hold exactly one, of this label. */
export function decodeOnePem(text: string, label: string): Uint8Array<ArrayBuffer> {
  const blocks = decodePem(text);
  const [block] = blocks;
  if (block === undefined || blocks.length > 1 || block.label !== label) {
    throw malformed(`${blocks.map((each) => each.label).join(" and ") || "nothing"} instead of one ${label}`);
  }
  return block.der;
}

/** One block with lines of 64 characters, ending in a line feed. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g")) ?? [];
  return [`${BEGIN}${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function decodeBase64(text: string, label: string): Uint8Array<ArrayBuffer> {
  let der: Uint8Array<ArrayBuffer>;
  try {
    der = Uint8Array.fromBase64(text);
  } catch (cause) {
    throw new IdentityError("pem_malformed", `The PEM's ${label} is not base64`, { cause });
  }
  if (der.length === 0) throw malformed(`an empty ${label}`);
  return der;
}

function malformed(what: string): IdentityError {
  return new IdentityError("pem_malformed", `The PEM holds ${what}`);
}
