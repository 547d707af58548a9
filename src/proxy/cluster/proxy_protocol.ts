/** PROXY protocol (haproxy's proxy-protocol.txt): what a connection says of the one that it stands for, before all else. */
import { parseIp } from "../../lib/ip.ts";
import type { ProxyProtocolVersion } from "../../model/cluster.ts";
import type { Address } from "../../runtime/wire.ts";

/** The connection that another one stands for: where it came from, and where it was going. */
export interface ProxiedEnds {
  readonly source: Address;
  readonly destination: Address;
}

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
/** Version 2, and whether it speaks for somebody else (§2.2). */
const COMMAND = { local: 0x20, proxy: 0x21 } as const;
/** TCP over IPv4 and IPv6. */
const FAMILY = { 4: 0x11, 16: 0x21 } as const;
const V1_FAMILY = { 4: "TCP4", 16: "TCP6" } as const;

/**
 * The header of a connection. `ends` are those of the client's; null: the connection carries requests of many, and says
 * its `own` in version 1, and nothing in version 2, as Envoy does.
 */
export function proxyHeader(
  version: ProxyProtocolVersion,
  ends: ProxiedEnds | null,
  own: ProxiedEnds,
): Buffer {
  return version === "V1" ? textHeader(ends ?? own) : binaryHeader(ends);
}

function textHeader({ source, destination }: ProxiedEnds): Buffer {
  const bytes = bytesOf({ source, destination });
  if (bytes === null) return Buffer.from("PROXY UNKNOWN\r\n");
  const family = V1_FAMILY[bytes.source.length as 4 | 16];
  const addresses = `${plain(source.hostname)} ${plain(destination.hostname)}`;
  return Buffer.from(`PROXY ${family} ${addresses} ${source.port} ${destination.port}\r\n`);
}

function binaryHeader(ends: ProxiedEnds | null): Buffer {
  const bytes = ends === null ? null : bytesOf(ends);
  const signature = Buffer.from(SIGNATURE, "latin1");
  if (ends === null || bytes === null) {
    return Buffer.concat([signature, Buffer.from([COMMAND.local, 0, 0, 0])]);
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(ends.source.port, 0);
  ports.writeUInt16BE(ends.destination.port, 2);
  const { source, destination } = bytes;
  const length = 2 * source.length + ports.length;
  const head = Buffer.from([COMMAND.proxy, FAMILY[source.length as 4 | 16], 0, length]);
  return Buffer.concat([signature, head, source, destination, ports]);
}

/** Null: one is no address, or they are of different kinds. */
function bytesOf({ source, destination }: ProxiedEnds) {
  const [from, to] = [parseIp(source.hostname), parseIp(destination.hostname)];
  return from === null || to === null || from.length !== to.length ? null : { source: from, destination: to };
}

/** An IPv4 address that a socket of IPv6 shows as `::ffff:192.0.2.1`. */
function plain(hostname: string): string {
  return hostname.replace(/^::ffff:(?=\d+\.)/i, "");
}
