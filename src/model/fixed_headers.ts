/** Headers that no rule can edit, since they belong to the message itself, to its connection, or to the mesh. */

/** RFC 9110 §7.6.1 and RFC 9112 §6: where a message ends, and what holds for one connection. `host` is the authority. */
const FIXED = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  "x-forwarded-client-cert",
]);

const MESH_PREFIX = "x-bowline-";

/** Whether a header, its name in lower case, is none that a rule may set, add or remove. */
export function isFixedHeader(name: string): boolean {
  return name.startsWith(":") || FIXED.has(name) || name.startsWith(MESH_PREFIX);
}
