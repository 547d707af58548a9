/**
 * What is special about a connection between two proxies. A head that the first has taken must not be too large for the
 * second, because of what is added on the way or because HTTP/2 counts it otherwise; and the peer is one that bears to be
 * asked whether it lives.
 */
import type { Limits } from "../model/limits.ts";
import type { ConnectionTerms } from "./connection_terms.ts";
import type { RequestHead } from "./exchange.ts";
import { MESH_HEADER_BLOCK_BYTES_MAX } from "./http2/limits.ts";

/** Fields that a proxy, and the rules that it follows, may add. */
export const ADDED_FIELDS_MAX = 32;
/** Bytes of them, and of pseudo-header fields. */
export const ADDED_BYTES_MAX = 8 * 1024;
/** What RFC 9113 §6.5.2 counts for each field besides its name and value. */
const FIELD_OVERHEAD_BYTES = 32;
/** Names of the four pseudo-header fields, and what is counted besides. */
const PSEUDO_FIELDS_BYTES = ":method:scheme:authority:path".length + 4 * FIELD_OVERHEAD_BYTES;

export interface MeshHopLimits extends Limits {
  /** Octets of a header block that are read, and refused with their stream: others share the connection. */
  readonly headerBlockBytes: number;
}

/** The limits of a connection with another proxy, at both of its ends. */
export function meshHopLimits(limits: Limits): MeshHopLimits {
  const { requestHeaderBytes, requestHeaderCount, responseHeaderBytes, responseHeaderCount } = limits;
  return {
    ...limits,
    requestHeaderBytes: hopBytes(requestHeaderBytes, requestHeaderCount),
    requestHeaderCount: requestHeaderCount + ADDED_FIELDS_MAX,
    responseHeaderBytes: hopBytes(responseHeaderBytes, responseHeaderCount),
    responseHeaderCount: responseHeaderCount + ADDED_FIELDS_MAX,
    headerBlockBytes: MESH_HEADER_BLOCK_BYTES_MAX,
  };
}

export function meshHopTerms(terms: ConnectionTerms): ConnectionTerms {
  const { limits, keepalive } = terms;
  return {
    ...terms,
    limits: meshHopLimits(limits),
    // `whenIdle`: its cluster says how often.
    keepalive: keepalive.whenIdle ? keepalive : { ...keepalive, intervalMs: limits.keepaliveIntervalMs },
  };
}

function hopBytes(bytes: number, fields: number): number {
  return bytes + ADDED_BYTES_MAX + (fields + ADDED_FIELDS_MAX) * FIELD_OVERHEAD_BYTES;
}

/** Of a head, as they are counted at the other end. */
export function headBytes({ method, scheme, authority, path, headers }: RequestHead): number {
  let bytes = method.length + scheme.length + authority.length + path.length + PSEUDO_FIELDS_BYTES;
  for (const text of headers) bytes += text.length;
  return bytes + headers.length / 2 * FIELD_OVERHEAD_BYTES;
}
