/** What may stand behind the body of a request: some programs take it for a part of the head, which policies have read. */
import type { HeaderList } from "./exchange.ts";
import { takeMeshHeaders } from "./mesh_headers.ts";
import { cgiName } from "./message_syntax.ts";

/**
 * Fields that say who asks, for what, and how to read what came before: never behind it (RFC 9110 §6.5.1). Those of
 * framing and routing are malformed before they come here.
 */
const HEAD_ONLY: ReadonlySet<string> = new Set(
  ("authorization cache-control content-encoding content-language content-location content-range content-type " +
    "cookie expect forwarded if-match if-modified-since if-none-match if-range if-unmodified-since max-forwards " +
    "origin proxy-authorization range referer trailer").split(" "),
);
const FORWARDED_PREFIX = "x-forwarded-";

/** Trailers of a request without what only its head, or only a proxy, may say; null: nothing is left. */
export function trailersToForward(trailers: HeaderList): HeaderList | null {
  takeMeshHeaders(trailers);
  const kept: HeaderList = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = cgiName(trailers[i] as string);
    if (HEAD_ONLY.has(name) || name.startsWith(FORWARDED_PREFIX)) continue;
    kept.push(trailers[i] as string, trailers[i + 1] as string);
  }
  return kept.length > 0 ? kept : null;
}
