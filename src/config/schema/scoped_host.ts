/** Hosts with the namespace that they are taken from, `NAMESPACE/HOST`, as Gateway and Sidecar have them. */
import * as v from "valibot";
import { isHostName, isWildcardHost } from "../host.ts";
import type { Schema } from "./fields.ts";
import { wrong } from "./problem.ts";

export interface ScopedHost {
  /** A name, `*` for all, `.` for the resource's own, `~` for none. */
  readonly namespace: string;
  /** Lower case; `*`, a wildcard, or a full name. */
  readonly host: string;
}

/** A host that callers are, or are not, to see. */
export interface EgressHost extends ScopedHost {
  /** Written as `~NAMESPACE/HOST`: taken out of what the other hosts let in. */
  readonly excluded: boolean;
}

const NAMESPACE = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?|\*|\.|~)$/;
const EXCLUDED = /^~[^/]/;

/** `HOST` of every namespace, or `NAMESPACE/HOST`. Clients of a gateway are in no namespace that a short name is of. */
export const gatewayHost: Schema<ScopedHost> = v.pipe(
  v.string(),
  v.check(
    (text) => isScoped(text.includes("/") ? text : `*/${text}`) && !text.startsWith("~"),
    wrong("{} is not a host", 'write "www.example.com", "*.example.com" or "NAMESPACE/www.example.com"'),
  ),
  v.check(
    (text) => text.endsWith("*") || text.includes("."),
    wrong("{} is a short name, which gateways have not", "write the whole name"),
  ),
  v.transform((text) => scopedHost(text.includes("/") ? text : `*/${text}`)),
);

export const egressHost: Schema<EgressHost> = v.pipe(
  v.string(),
  v.check(
    (text) => isScoped(EXCLUDED.test(text) ? text.slice(1) : text),
    wrong("{} is not a host with its namespace", 'write "NAMESPACE/HOST", "./*" or "*/*"'),
  ),
  v.transform((text) => {
    const excluded = EXCLUDED.test(text);
    return { ...scopedHost(excluded ? text.slice(1) : text), excluded };
  }),
);

function isScoped(text: string): boolean {
  const [namespace, host, ...rest] = text.toLowerCase().split("/");
  if (namespace === undefined || host === undefined || rest.length > 0) return false;
  // Nor has Istio a wildcard within a label here: a gateway finds hosts by server names, which have none either.
  const isWildcard = isWildcardHost(host) && !host.startsWith("*-");
  return NAMESPACE.test(namespace) && (isHostName(host) || isWildcard);
}

function scopedHost(text: string): ScopedHost {
  const [namespace = "", host = ""] = text.toLowerCase().split("/");
  return { namespace, host };
}
