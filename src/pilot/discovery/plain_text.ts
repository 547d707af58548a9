/** At which ports a workload takes plain text. It takes it before others are told to send it, and until they no longer do. */
import { contentHash } from "../../lib/hash.ts";
import type { InboundPort, ProxySettings, VersionedResource } from "../../model/snapshot.ts";

const joined = new WeakMap<VersionedResource, WeakMap<VersionedResource, VersionedResource>>();

/** The settings `own`, taking plain text besides wherever `other` does. The same object if that is nowhere else. */
export function withPlainTextOf(other: VersionedResource, own: VersionedResource): VersionedResource {
  if (other === own || !refusesAny(own)) return own;
  const known = joined.get(own) ?? new WeakMap<VersionedResource, VersionedResource>();
  joined.set(own, known);
  let both = known.get(other);
  if (both === undefined) {
    both = own.body.kind === "proxy" && other.body.kind === "proxy" ? join(own, own.body, other.body) : own;
    known.set(other, both);
  }
  return both;
}

function join(resource: VersionedResource, own: ProxySettings, other: ProxySettings): VersionedResource {
  const isStrict = (port: number | null) => refuses(own, port) && refuses(other, port);
  const opened = new Set(own.inbound.filter(({ port, mtls }) => mtls === "strict" && !isStrict(port)));
  const others = new Set([own, other].flatMap(({ mtls, inbound }) => [
    ...mtls?.exceptPorts ?? [],
    ...inbound.map(({ port }) => port),
  ]));
  for (const { port } of own.inbound) others.delete(port);
  const opensOthers = [null, ...others].some((port) => refuses(own, port) && !isStrict(port));
  if (opened.size === 0 && !opensOthers) return resource;
  const mode = isStrict(null) ? "strict" : "permissive";
  const exceptPorts = [...others].filter((port) => isStrict(port) !== isStrict(null)).sort((a, b) => a - b);
  const { mtls: _, ...rest } = own;
  const body: ProxySettings = {
    ...rest,
    inbound: own.inbound.map((one) => opened.has(one) ? inPlainText(one) : one),
    ...(mode === "permissive" && exceptPorts.length === 0 ? {} : { mtls: { mode, exceptPorts } }),
  };
  return { version: contentHash(body), body };
}

function inPlainText({ mtls: _, ...rest }: InboundPort): InboundPort {
  return rest;
}

function refusesAny({ body }: VersionedResource): boolean {
  return body.kind === "proxy" &&
    (body.mtls !== undefined || body.inbound.some(({ mtls }) => mtls === "strict"));
}

/** Of a port that nothing is said of, with null. */
function refuses({ inbound, mtls }: ProxySettings, port: number | null): boolean {
  const declared = inbound.find((one) => one.port === port);
  if (declared !== undefined) return declared.mtls === "strict";
  return mtls !== undefined &&
    (mtls.mode === "strict") !== (port !== null && mtls.exceptPorts.includes(port));
}
