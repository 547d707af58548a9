/** What the ports of hosts carry, as far as their writers said so. */
import { serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";

/** `bytes`: nobody reads requests there; `any`: it is not said. */
export type PortSpeech = "requests" | "bytes" | "tls" | "any";

export interface SpeakingPort {
  readonly number: number;
  readonly speech: PortSpeech;
}

/** Protocols by their names, which are also what a port's name begins with. */
const SPEECHES: readonly (readonly [RegExp, PortSpeech])[] = [
  [/^(tcp|mongo|mysql|redis|postgres|postgresql)(-|$)/, "bytes"],
  [/^(tls|https)(-|$)|^kubernetes\.io\/wss$/, "tls"],
  [/^(http|http2|h2c|grpc)(-|$)|^kubernetes\.io\/(h2c|ws)$/, "requests"],
];

export function speechOf(
  { name, appProtocol }: { readonly name: string | null; readonly appProtocol: string | null },
): PortSpeech {
  const said = (appProtocol ?? name ?? "").toLowerCase();
  return SPEECHES.find(([pattern]) => pattern.test(said))?.[1] ?? "any";
}

/** Whether somebody said that a port carries no requests that can be read. */
export function carriesBytes(port: Parameters<typeof speechOf>[0]): boolean {
  return isUnread(speechOf(port));
}

export function isUnread(speech: PortSpeech): boolean {
  return speech === "bytes" || speech === "tls";
}

/** The ports of each full host name or wildcard, those of all resources that define it. */
export function speakingPorts(
  { services, serviceEntries }: ResourceSet,
): ReadonlyMap<string, readonly SpeakingPort[]> {
  const found = new Map<string, SpeakingPort[]>();
  const add = (host: string, ports: readonly SpeakingPort[]) =>
    found.set(host, [...found.get(host) ?? [], ...ports]);
  for (const { name, namespace, spec: { ports } } of services) {
    add(
      serviceHost(name, namespace),
      ports.map((port) => ({ number: port.port, speech: speechOf(port) })),
    );
  }
  for (const { spec } of serviceEntries) {
    const ports = spec.ports.map(({ number, protocol }) => ({
      number,
      speech: speechOf({ name: null, appProtocol: protocol }),
    }));
    for (const host of spec.hosts) add(host, ports);
  }
  return found;
}
