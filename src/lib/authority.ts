/** A host and its port in one text, as URLs and messages have them. */

/** RFC 3986 §3.2.2: an IPv6 address stands in brackets. */
export function formatAuthority(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
