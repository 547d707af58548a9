/**
 * The one form of a request's path: what routes are matched against is what `explain` shows, what policies see, and what
 * goes upstream. It is Istio's MERGE_SLASHES without its gaps, or what MeshConfig says: where servers are known to read
 * one path in two ways, and no form would mean the same to all of them, the request is refused.
 */
import type { PathNormalization } from "../../model/path_normalization.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const QUESTION = 0x3f;

/** RFC 3986 §2.3: escaped or not, they mean the same. */
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/**
 * A segment that servers which drop path parameters (`;x=y`) read as `.`, `..` or nothing, escaped or not: they see
 * `/public/..;/admin` as `/admin`.
 */
const DOTS_WITH_PARAMETERS = /^\.{0,2}(?:;|%3B)/;

/**
 * `path` is path and query, from the slash, of visible ASCII; `*` and the empty path stay what they are. Unreserved
 * characters are unescaped, other escapes in upper case, `\` is `/`, `//` is `/`, and dot segments are gone (RFC 3986
 * §5.2.4); the query stays as it is. BASE leaves `//`, DECODE_AND_MERGE_SLASHES also takes `%2F` and `%5C` for slashes,
 * and NONE leaves all as it came. Returns the answer for a path that has no such form, which NONE refuses too.
 */
export function normalPath(path: string, form: PathNormalization = "MERGE_SLASHES"): string | LocalReply {
  if (isNormal(path)) return path;
  if (form !== "NONE") return normalise(path, form);
  const [base, merged] = [normalise(path, "BASE"), normalise(path, "MERGE_SLASHES")];
  if (typeof base !== "string" || typeof merged !== "string") return merged;
  // `/a//../b` is `/b` to who merges slashes first, and `/a/b` to others: policies would have to know which.
  return normalise(base, "MERGE_SLASHES") === merged ? path : LOCAL_REPLY.pathSlashesBeforeDots;
}

/** Whether nothing in it can need a change; true of most paths, and then nothing is allocated. */
function isNormal(path: string): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === QUESTION) return true;
    if (code === PERCENT || code === BACKSLASH || code === SEMICOLON) return false;
    if (previous === SLASH && (code === SLASH || code === DOT)) return false;
    previous = code;
  }
  return true;
}

function normalise(path: string, form: PathNormalization): string | LocalReply {
  const queryAt = path.indexOf("?");
  const raw = queryAt < 0 ? path : path.slice(0, queryAt);
  const unescaped = unescape(raw.replaceAll("\\", "/"), form === "DECODE_AND_MERGE_SLASHES");
  if (typeof unescaped !== "string") return unescaped;
  const kept: string[] = [];
  const segments = unescaped.split("/");
  // The first one is what stands before the first slash: nothing.
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] as string;
    const isLast = i === segments.length - 1;
    if (DOTS_WITH_PARAMETERS.test(segment)) {
      // `/;jsessionid=1` is how servers write the session into the address of a directory.
      if (!isLast || segment.startsWith(".")) return LOCAL_REPLY.pathDotParameters;
      kept.push(segment);
    } else if (segment === "" && form === "BASE" && !isLast) {
      kept.push(segment);
    } else if (segment === "" || segment === "." || segment === "..") {
      if (segment === "..") kept.pop();
      if (isLast) kept.push("");
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join("/")}${queryAt < 0 ? "" : path.slice(queryAt)}`;
}

function unescape(text: string, slashesToo: boolean): string | LocalReply {
  let result = "";
  let from = 0;
  for (let at = text.indexOf("%"); at >= 0; at = text.indexOf("%", at + 3)) {
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return LOCAL_REPLY.pathEscape;
    const code = Number.parseInt(digits, 16);
    // Some servers decode before they look at slashes, others after: no form means the same to both.
    const isSlash = code === SLASH || code === BACKSLASH;
    if (isSlash && !slashesToo) return LOCAL_REPLY.pathEscapedSlash;
    if (code < 0x20 || code === 0x7f) return LOCAL_REPLY.pathControl;
    const character = isSlash ? "/" : String.fromCharCode(code);
    result += text.slice(from, at) +
      (isSlash || UNRESERVED.test(character) ? character : `%${digits.toUpperCase()}`);
    from = at + 3;
  }
  return result + text.slice(from);
}
