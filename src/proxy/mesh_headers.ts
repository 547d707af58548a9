/**
 * What one proxy tells the next on the mesh hop, inside mTLS only. From anywhere else these fields are thrown away, so
 * that nobody outside can speak as a proxy.
 */
import { canonicalRevision, canonicalService } from "../model/workload.ts";
import type { WorkloadInfo } from "../model/call_info.ts";
import type { HeaderList } from "./exchange.ts";
import { cgiName } from "./message_syntax.ts";

const X = 0x78;

/** Every field of ours begins so. */
export const MESH_HEADER_PREFIX = "x-bowline-";
/** The workload's own port that the request is for. */
export const PORT_HEADER = "x-bowline-port";
/**
 * Who calls, for telemetry: `NAME;APP;VERSION`, and `;h2` where the program itself spoke HTTP/2. Namespace and identity
 * come from the certificate alone.
 */
export const PEER_HEADER = "x-bowline-peer";
/** On a response that a proxy made itself: the response flags and which proxy it was. */
export const REPLY_HEADER = "x-bowline-reply";

/** Envoy's own fields, which its peers believe: a client that sends one pretends to be a proxy. */
const ENVOY_HEADER_PREFIX = "x-envoy-";
/** The path before a proxy rewrote it, for logs and for programs that care. */
export const ORIGINAL_PATH_HEADER = "x-envoy-original-path";
/** The client's address where a gateway knows it from proxies before it, as Envoy says it. */
export const EXTERNAL_ADDRESS_HEADER = "x-envoy-external-address";
/** Which attempt it is, of those after the first: Envoy says it of the first, too, to each request's cost. */
export const ATTEMPT_COUNT_HEADER = "x-envoy-attempt-count";
/** Whose certificates proxies on the way saw, as Envoy says it; only they may. */
export const CLIENT_CERT_HEADER = "x-forwarded-client-cert";

/** Characters of a peer description; a longer one is ignored. */
export const PEER_LENGTH_MAX = 512;

/**
 * Descriptions that are believed of one identity, in a process: what a peer says of itself becomes labels of metrics, and
 * whoever said something else each time would fill the table of edges for all.
 */
export const DESCRIPTIONS_PER_IDENTITY_MAX = 500;

/** Fields that stay where a proxy of the mesh brings them. */
export const BROUGHT_BY_PROXIES: ReadonlySet<string> = new Set([
  ORIGINAL_PATH_HEADER,
  EXTERNAL_ADDRESS_HEADER,
  ATTEMPT_COUNT_HEADER,
]);

/** By code: 1 for what may follow the `x-` of a field that isProxyHeader() knows. Most fields go on otherwise. */
const thirdOfProxyHeader = new Uint8Array(256);
for (const name of [MESH_HEADER_PREFIX, ENVOY_HEADER_PREFIX, CLIENT_CERT_HEADER]) {
  thirdOfProxyHeader[name.charCodeAt(2)] = 1;
}

const NONE: ReadonlySet<string> = new Set();

/** What each identity said of itself. */
export class PeerDescriptions {
  readonly #known = new Map<string, Set<string>>();

  /** The description, or undefined: it is too long, or the identity has given too many others. */
  admit(principal: string, description: string): string | undefined {
    if (description.length > PEER_LENGTH_MAX) return undefined;
    let known = this.#known.get(principal);
    if (known === undefined) this.#known.set(principal, known = new Set());
    if (known.has(description)) return description;
    if (known.size >= DESCRIPTIONS_PER_IDENTITY_MAX) return undefined;
    known.add(description);
    return description;
  }
}

export function describePeer({ name, app, version }: WorkloadInfo, http2 = false): string {
  return [name, app, version].map(peerPart).join(";") + (http2 ? HTTP2_MARK : "");
}

const HTTP2_MARK = ";h2";

/** Whether the program behind a peer spoke HTTP/2. One that does not describe itself is the program. */
export function clientSpeaksHttp2(description: string | undefined, spoken: boolean): boolean {
  return description === undefined ? spoken : description.endsWith(HTTP2_MARK);
}

/** Names come from configuration: whatever could end a part, or a line, is replaced. */
function peerPart(text: string): string {
  return text.replace(/[^\x21-\x3a\x3c-\x7e]/g, "_");
}

/** The caller as its certificate and its own description give it. */
export function readPeer(
  description: string | undefined,
  identity: { readonly namespace: string; readonly serviceAccount: string },
  principal: string,
): WorkloadInfo {
  const parts = (description ?? "").length <= PEER_LENGTH_MAX ? (description ?? "").split(";") : [];
  const name = parts[0] || identity.serviceAccount;
  return {
    key: `${identity.namespace}/${name}`,
    namespace: identity.namespace,
    name,
    principal,
    app: parts[1] || canonicalService({}, name),
    version: parts[2] || canonicalRevision({}),
  };
}

/** What takeMeshHeaders() took away. */
export interface TakenHeaders {
  port: string | undefined;
  peer: string | undefined;
  /** Of several fields the list of all; one whose quotes do not close is left out. */
  clientCert: string | undefined;
}

/**
 * Removes, in place, every field of a request that only proxies may set, and returns the values of those that one sends
 * to the next. `kept` are those that stay.
 */
export function takeMeshHeaders(headers: HeaderList, kept: ReadonlySet<string> = NONE): TakenHeaders {
  const taken: TakenHeaders = { port: undefined, peer: undefined, clientCert: undefined };
  let end = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (isProxyHeader(name) && !kept.has(name)) {
      if (name === PORT_HEADER) taken.port = value;
      else if (name === PEER_HEADER) taken.peer = value;
      else if (name === CLIENT_CERT_HEADER && isWhole(value)) {
        taken.clientCert = appended(taken.clientCert, value);
      }
      continue;
    }
    if (end !== i) {
      headers[end] = name;
      headers[end + 1] = value;
    }
    end += 2;
  }
  // Setting the length of an array is slow even where it changes nothing.
  if (end < headers.length) headers.length = end;
  return taken;
}

/**
 * Every quote of an `x-forwarded-client-cert` is closed: in one that is open what is appended would be a part of what its
 * writer says, and no element of its own.
 */
function isWhole(elements: string): boolean {
  return /^(?:[^"\\]|"(?:[^"\\]|\\.)*")*$/.test(elements);
}

/** A list with one more item. */
export function appended(list: string | undefined, item: string): string {
  return list === undefined ? item : `${list},${item}`;
}

/** Removes every field of ours from a response, in place: it comes from whoever is not a proxy that proved itself. */
export function removeMeshHeaders(headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (!isMeshHeader(headers[i] as string)) continue;
    headers.splice(i, 2);
    i -= 2;
  }
}

/** What a request may carry only when a proxy put it there, or what a program may take for it. */
function isProxyHeader(field: string): boolean {
  if (field.charCodeAt(0) !== X) return false;
  if (thirdOfProxyHeader[field.charCodeAt(2)] !== 1) return false;
  const name = cgiName(field);
  return name.startsWith(MESH_HEADER_PREFIX) || name.startsWith(ENVOY_HEADER_PREFIX) ||
    name === CLIENT_CERT_HEADER;
}

/** Envoy's SANITIZE_SET: who called, as the handshake proved it, in the form that applications know. */
export function clientCertificateValue(own: string, peer: string, certificateHash: string): string {
  return `By=${own};Hash=${certificateHash};Subject="";URI=${peer}`;
}

export function isMeshHeader(name: string): boolean {
  return name.charCodeAt(0) === X && name.startsWith(MESH_HEADER_PREFIX);
}
