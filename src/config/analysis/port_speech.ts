/** What a port of a Service carries, as far as its writer said so. */

/** Protocols of which nobody reads requests, as names or as the prefix of a port's name. */
const BYTES = /^(tcp|tls|https|mongo|mysql|redis|postgres|postgresql)(-|$)/;

/** Whether somebody said that a port carries bytes, and no requests that can be read. */
export function carriesBytes(
  { name, appProtocol }: { readonly name: string | null; readonly appProtocol: string | null },
): boolean {
  return BYTES.test((appProtocol ?? name ?? "").toLowerCase());
}
