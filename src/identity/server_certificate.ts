/**
 * Whether a server outside the mesh is who it should be: called once per connection, after the handshake. TLS has checked
 * the chain; here the names of the leaf are held against those that are expected (RFC 9525 §6).
 */
import { type CertificateFields, GENERAL_NAME, readCertificate } from "./certificate_fields.ts";
import { IdentityError } from "./identity_error.ts";
import { NAME_DIFFERS, type PeerHandshake } from "./peer_identity.ts";

/** Alternative names of a public server's certificate: some have more than a hundred. */
export const SERVER_NAMES_MAX = 1_000;

export type ServerRefusalCode =
  | "certificate_missing"
  | "handshake_failed"
  | "certificate_malformed"
  | "name_differs";

/** `detail` is one sentence for the log, without anything that the server chose. */
export type ServerVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: ServerRefusalCode; readonly detail: string };

/**
 * `names`: DNS names, IPv4 addresses and URIs, one of which must be among the alternative names; none never suffices. The
 * subject's common name does not count. Never throws on what the server sent.
 */
export function judgeServer({ error, certificate }: PeerHandshake, names: readonly string[]): ServerVerdict {
  const raw = certificate?.raw;
  const reason = typeof error?.code === "string" ? error.code : error?.name;
  if (raw === undefined) {
    const because = reason === undefined ? "" : `: ${reason}`;
    return refuse("certificate_missing", `The server showed no certificate${because}`);
  }
  // Bun compares a name of its own, and tells that only when the chain is good.
  if (error !== null && error.code !== NAME_DIFFERS) {
    return refuse("handshake_failed", `TLS does not trust the server's certificate: ${reason}`);
  }
  let fields: CertificateFields;
  try {
    fields = readCertificate(raw, { namesMax: SERVER_NAMES_MAX, bytesMax: SERVER_CERTIFICATE_BYTES_MAX });
  } catch (problem) {
    if (!(problem instanceof IdentityError)) throw problem;
    return refuse("certificate_malformed", problem.message);
  }
  if (names.some((name) => fields.alternativeNames.some((own) => covers(own, name)))) return { ok: true };
  const expected = names.length === 0 ? "no name to compare" : names.join(", ");
  return refuse("name_differs", `The server's certificate is not for what was expected: ${expected}`);
}

/** Room for that many names of ordinary length. */
const SERVER_CERTIFICATE_BYTES_MAX = 128 * 1024;

function covers({ tag, value }: { readonly tag: number; readonly value: string }, name: string): boolean {
  switch (tag) {
    case GENERAL_NAME.dns:
      return dnsCovers(value.toLowerCase(), name.toLowerCase());
    case GENERAL_NAME.uri:
      return value === name;
    case GENERAL_NAME.ip:
      return value === ipv4Hex(name);
    default:
      return false;
  }
}

/** A wildcard is the whole first label, and covers exactly one (RFC 9525 §6.3). */
function dnsCovers(own: string, name: string): boolean {
  if (ipv4Hex(name) !== null) return false;
  if (own === name) return true;
  const dot = name.indexOf(".");
  return own.startsWith("*.") && dot > 0 && own.slice(1) === name.slice(dot) && own.indexOf(".", 2) > 0;
}

function ipv4Hex(text: string): string | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return null;
  return parts.map((part) => part.toString(16).padStart(2, "0")).join("");
}

function refuse(code: ServerRefusalCode, detail: string): ServerVerdict {
  return { ok: false, code, detail };
}
