/** The static table (RFC 7541 Appendix A): names and values by index, from 1. */

const ENTRIES = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`.split("\n");

export const STATIC_TABLE_SIZE = ENTRIES.length;

/** Index 0 is no entry. */
export const STATIC_NAMES: readonly string[] = [
  "",
  ...ENTRIES.map((entry) => entry.split(" ", 1)[0] as string),
];
export const STATIC_VALUES: readonly string[] = [
  "",
  ...ENTRIES.map((entry) => entry.slice(entry.split(" ", 1)[0]!.length + 1)),
];

/** Name -> its first index. */
export const STATIC_INDEX_OF_NAME: ReadonlyMap<string, number> = new Map(
  STATIC_NAMES.map((name, index): [string, number] => [name, index]).reverse(),
);

/** The values that the table has of a name, and their indices; null: it has none. */
export function staticValuesOf(name: string): ReadonlyMap<string, number> | null {
  const indices = STATIC_NAMES.flatMap((known, index) =>
    known === name && STATIC_VALUES[index] !== "" ? [index] : []
  );
  if (indices.length === 0) return null;
  return new Map(indices.map((index) => [STATIC_VALUES[index] as string, index]));
}
