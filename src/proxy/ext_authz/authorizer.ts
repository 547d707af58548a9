/** Whoever is asked whether requests may pass (Envoy's ext_authz over HTTP): what is asked, and what an answer means. */
import type { ExtAuthz } from "../../model/ext_authz.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import { BODY_LENGTH_UNKNOWN, type HeaderList, type RequestHead, type ResponseHead } from "../exchange.ts";
import { extAuthzDenied, type LocalReply } from "../local_reply.ts";
import { isMeshHeader } from "../mesh_headers.ts";
import { Patterns } from "../policy/patterns.ts";

/** Bytes of the fields of an answer that are passed on; an answer with more has failed. */
export const PASSED_FIELDS_BYTES_MAX = 16_384;
/** Bytes of the body of a denial that the client gets; it gets none of a longer one. */
export const DENIAL_BODY_BYTES_MAX = 65_536;

/** What was answered. */
export type Permission =
  /** Fields that are set in the request, and in the answer of the workload. */
  | { readonly type: "allowed"; readonly request: HeaderList; readonly answer: HeaderList }
  | { readonly type: "denied"; readonly reply: LocalReply }
  /** Nobody knows: it did not answer, not in time, or with an error of its own. */
  | { readonly type: "failed" };

/** What it sees of a body. */
export interface CheckedBody {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** There is more. */
  readonly partial: boolean;
}

/** What Envoy's denials have, whatever list is given. */
const ALWAYS_ON_DENIAL = ["location", "www-authenticate"];
const PARTIAL_BODY_HEADER = "x-envoy-auth-partial-body";

export class Authorizer {
  readonly settings: ExtAuthz;
  /** Null: there is no such service, or it is not to be seen from here. */
  readonly cluster: CompiledCluster | null;
  /** As the mesh hop describes the own proxy. */
  readonly peer: string;
  readonly #request: Patterns;
  readonly #added: readonly (readonly [string, string])[];
  readonly #upstream: Patterns;
  readonly #allow: Patterns;
  /** Null: all. */
  readonly #deny: Patterns | null;

  constructor(settings: ExtAuthz, cluster: CompiledCluster | null, peer: string) {
    this.settings = settings;
    this.cluster = cluster;
    this.peer = peer;
    this.#request = new Patterns(settings.requestHeaders);
    this.#added = Object.entries(settings.addedHeaders);
    this.#upstream = new Patterns(settings.upstreamHeaders);
    this.#allow = new Patterns(settings.allowHeaders);
    const { denyHeaders } = settings;
    this.#deny = denyHeaders.length === 0 ? null : new Patterns([...denyHeaders, ...ALWAYS_ON_DENIAL]);
  }

  /** The request that asks: the method and path of the other one, and of its fields those that are named. */
  question({ method, scheme, authority, path, headers }: RequestHead, body: CheckedBody | null): RequestHead {
    const added = new Set(this.#added.map(([name]) => name));
    const asked = picked(headers, (name) => this.#request.match(name) && !added.has(name));
    for (const [name, value] of this.#added) asked.push(name, value);
    if (body !== null) asked.push(PARTIAL_BODY_HEADER, String(body.partial));
    const bodyLength = body?.bytes ?? 0;
    return { method, scheme, authority, path: this.settings.pathPrefix + path, headers: asked, bodyLength };
  }

  /** Null: what the body says belongs to it. */
  judge({ status, headers }: ResponseHead): Permission | null {
    if (status >= 500) return { type: "failed" };
    if (status !== 200) return null;
    const request = picked(headers, (name) => this.#upstream.match(name));
    const answer = picked(headers, (name) => this.#allow.match(name));
    if (bytesOf(request) + bytesOf(answer) > PASSED_FIELDS_BYTES_MAX) return { type: "failed" };
    return { type: "allowed", request, answer };
  }

  /** `body` is null where it is too long. */
  denial({ status, headers }: ResponseHead, body: Uint8Array | null): Permission {
    const passed = picked(headers, (name) => this.#deny === null || this.#deny.match(name));
    const fits = bytesOf(passed) <= PASSED_FIELDS_BYTES_MAX;
    return { type: "denied", reply: extAuthzDenied(status, body ?? NOTHING, fits ? passed : []) };
  }
}

const NOTHING = new Uint8Array(0);

/** Whether a body of that announced length may be longer than what is looked at. */
export function mayExceed({ bodyLength }: RequestHead, bytesMax: number): boolean {
  return bodyLength !== BODY_LENGTH_UNKNOWN && bodyLength > bytesMax;
}

/** A second authority for the request, and fields that only proxies may set, are not for others to give. */
function picked(headers: HeaderList, wants: (name: string) => boolean): HeaderList {
  const list: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name !== "host" && !isMeshHeader(name) && wants(name)) list.push(name, headers[i + 1] as string);
  }
  return list;
}

function bytesOf(headers: HeaderList): number {
  return headers.reduce((sum, text) => sum + text.length, 0);
}
