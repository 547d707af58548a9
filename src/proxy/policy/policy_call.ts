/** A call as policies see it: who calls what, and for HTTP the request in its one form. */
import { parseIp } from "../../lib/ip.ts";
import { parseSpiffeId } from "../../model/spiffe_id.ts";
import type { HeaderList, RequestHead } from "../exchange.ts";
import { forwardedAddress } from "../forwarded_for.ts";
import type { RequestAuth } from "../jwt/request_auth.ts";
import { normalPath } from "../route/normal_path.ts";
import { withoutParameters } from "./path_patterns.ts";

/** The other end of a connection. Texts are empty where it proved nothing. */
export interface PolicyPeer {
  /** SPIFFE ID without `spiffe://`. */
  readonly principal: string;
  readonly namespace: string;
  /** `NAMESPACE/SERVICE_ACCOUNT`. */
  readonly serviceAccount: string;
  readonly trustDomain: string;
  /** As TLS asked for it, lower case. */
  readonly serverName: string;
  /** As the kernel writes it. */
  readonly address: string;
  /** The bytes of `address`; null if it is no IP address. */
  readonly addressBytes: Uint8Array | null;
}

export interface PolicyDestination {
  readonly address: string;
  /** The workload's own. */
  readonly port: number;
}

/** `spiffeId` as a handshake proved it; null: nobody did. */
export function policyPeer(spiffeId: string | null, address: string, serverName = ""): PolicyPeer {
  const addressBytes = parseIp(address);
  const id = spiffeId === null ? undefined : parseSpiffeId(spiffeId);
  if (id === undefined || spiffeId === null) {
    return {
      principal: "",
      namespace: "",
      serviceAccount: "",
      trustDomain: "",
      serverName,
      address,
      addressBytes,
    };
  }
  return {
    principal: spiffeId.slice("spiffe://".length),
    namespace: id.namespace,
    serviceAccount: `${id.namespace}/${id.serviceAccount}`,
    trustDomain: id.trustDomain,
    serverName,
    address,
    addressBytes,
  };
}

export class PolicyCall {
  readonly peer: PolicyPeer;
  readonly destination: PolicyDestination;
  readonly method: string;
  /** Without query; empty for bytes. */
  readonly path: string;
  /** The same without the parameters of its segments, and in the form of MERGE_SLASHES whatever its own is. */
  readonly barePath: string;
  /** Lower case, without the port and the dot of the root. */
  readonly host: string;
  /** `host`, with the port if the request names one. */
  readonly authority: string;
  readonly #head: RequestHead | null;
  readonly #behindClient: number | null;
  /** The field that was asked for last: many rules ask for the same one. */
  #latest: { readonly name: string; readonly values: readonly string[] | null } | null = null;
  #remote: { readonly bytes: Uint8Array | null } | null = null;

  /**
   * `head` with its path in the one form; null for bytes. `behindClient` is how many entries of `x-forwarded-for` stand
   * behind the client's; null: none of them is believed. @default 0 where a proxy of the mesh brings it
   */
  constructor(
    peer: PolicyPeer,
    destination: PolicyDestination,
    head: RequestHead | null,
    behindClient: number | null = peer.principal === "" ? null : 0,
  ) {
    this.peer = peer;
    this.destination = destination;
    this.#head = head;
    this.#behindClient = behindClient;
    const path = head === null ? "" : head.path;
    const queryAt = path.indexOf("?");
    this.method = head === null ? "" : head.method;
    this.path = queryAt < 0 ? path : path.slice(0, queryAt);
    const merged = normalPath(this.path);
    this.barePath = withoutParameters(typeof merged === "string" ? merged : this.path);
    const { host, port } = splitAuthority(head === null ? "" : head.authority);
    this.host = host;
    this.authority = host + port;
  }

  /** What the request's token says; null: it has none that was verified. */
  get auth(): RequestAuth | null {
    return this.#head?.auth ?? null;
  }

  /** Of the request; none for bytes. */
  get headers(): Readonly<HeaderList> {
    return this.#head?.headers ?? [];
  }

  /** All values of a field, in order; null: it is not there. */
  headerValues(name: string): readonly string[] | null {
    if (this.#latest?.name !== name) this.#latest = { name, values: valuesOf(this.#head, name) };
    return this.#latest.values;
  }

  /**
   * Bytes of the client's address, null where it is unknown: as `x-forwarded-for` has it where a proxy of the mesh wrote
   * or brings it. Whoever proved nothing could write there what it likes, and is who it is.
   */
  get remoteAddress(): Uint8Array | null {
    return (this.#remote ??= { bytes: this.#forwardedFor() ?? this.peer.addressBytes }).bytes;
  }

  #forwardedFor(): Uint8Array | null {
    if (this.#behindClient === null) return null;
    return forwardedAddress(this.headerValues("x-forwarded-for") ?? [], this.#behindClient);
  }
}

function valuesOf(head: RequestHead | null, name: string): readonly string[] | null {
  if (head === null) return null;
  const { headers } = head;
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) values.push(headers[i + 1] as string);
  }
  return values.length === 0 ? null : values;
}

/** `port` with its colon, and without zeros before it, as routes see it; empty where there is none. */
function splitAuthority(authority: string): { host: string; port: string } {
  const text = authority.toLowerCase();
  const port = /:\d*$/.exec(text)?.[0] ?? "";
  const host = text.slice(0, text.length - port.length).replace(/\.+$/, "");
  return { host, port: port === ":" ? "" : port.replace(/^:0+(?=\d)/, ":") };
}
