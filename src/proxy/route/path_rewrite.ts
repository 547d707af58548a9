/** A path on its way to somewhere else: by what a rule's path condition matched, or by a regular expression. */
import { compileRegex, type Regex } from "../../lib/regex.ts";
import type { PathRewrite, RouteMatch } from "../../model/route.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";

/**
 * Characters that all searches of one replacement may have before them: each is linear, but finds as little as one
 * character after it has looked at all others, so that together they are not. Any path of 722 characters is within it,
 * whatever is found there.
 */
export const SEARCHED_CHARACTERS_MAX = 256 * 1024;

export interface CompiledPathRewrite {
  /**
   * `path` is path and query, from the slash; `match` is the block that held, null for a rule without any. The answer
   * where it would take too long.
   */
  apply(path: string, match: RouteMatch | null): string | LocalReply;
}

/** Throws when a regex does not compile; the snapshot is then refused. */
export function compilePathRewrite(rewrite: PathRewrite): CompiledPathRewrite {
  if (rewrite.type === "matched") {
    return { apply: (path, match) => replaceMatched(path, match, rewrite.value) };
  }
  const expression = compileRegex(rewrite.match);
  return {
    apply(path) {
      const { raw, query } = splitPath(path);
      const replaced = replaceAll(expression, raw, rewrite.substitution);
      return replaced === undefined ? LOCAL_REPLY.pathTooManyMatches : rooted(replaced) + query;
    },
  };
}

/** Puts a value in the place of what the path condition of a match block matched; the query stays. */
export function replaceMatched(path: string, match: RouteMatch | null, value: string): string {
  const { raw, query } = splitPath(path);
  return rooted(value + raw.slice(matchedLength(raw, match))) + query;
}

/** `query` with its question mark; empty without one. */
export function splitPath(path: string): { raw: string; query: string } {
  const at = path.indexOf("?");
  return at < 0 ? { raw: path, query: "" } : { raw: path.slice(0, at), query: path.slice(at) };
}

/** A block without a path condition is to Envoy one with the prefix `/`. */
function matchedLength(raw: string, match: RouteMatch | null): number {
  const condition = match?.path ?? null;
  if (condition === null) return raw.startsWith("/") ? 1 : 0;
  return condition.type === "prefix" ? condition.value.length : raw.length;
}

function rooted(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** RE2's GlobalReplace: `\0` is what was matched, `\1` to `\9` are groups, `\\` is a backslash. Undefined: too much work. */
function replaceAll(expression: Regex, text: string, substitution: string): string | undefined {
  const matcher = expression.matcher(text);
  let result = "";
  let from = 0;
  let searched = text.length;
  while (matcher.find()) {
    searched += text.length - matcher.end();
    if (searched > SEARCHED_CHARACTERS_MAX) return undefined;
    const groups = substitution.replace(/\\([0-9\\])/g, (_, what: string) => {
      if (what === "\\") return "\\";
      return Number(what) <= matcher.groupCount() ? matcher.group(Number(what)) ?? "" : "";
    });
    result += text.slice(from, matcher.start()) + groups;
    from = matcher.end();
  }
  return result + text.slice(from);
}
