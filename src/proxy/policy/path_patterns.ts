/** Patterns of paths, among them templates, in the one form that paths of requests have (route/normal_path.ts). */
import type { PathKey } from "../route/path_index.ts";
import { Patterns } from "./patterns.ts";

const ONE_SEGMENT = "{*}";
const ANY_SEGMENTS = "{**}";

export class PathPatterns {
  readonly #patterns: Patterns;
  readonly #templates: readonly Template[];
  /** By which of them a path may match; null: looking at its beginning does not tell. */
  readonly keys: readonly PathKey[] | null;

  constructor(written: readonly string[]) {
    const texts = written.map(canonical);
    const isTemplate = (text: string) => text.includes(ONE_SEGMENT) || text.includes(ANY_SEGMENTS);
    const plain = texts.filter((text) => !isTemplate(text));
    this.#patterns = new Patterns(plain);
    this.#templates = texts.filter(isTemplate).map((text) => new Template(text));
    this.keys = plain.length < texts.length || plain.some((text) => text.startsWith("*"))
      ? null
      : plain.map((text) =>
        text.endsWith("*") ? { type: "prefix", value: text.slice(0, -1) } : { type: "exact", value: text }
      );
  }

  match(path: string): boolean {
    if (this.#patterns.match(path)) return true;
    for (const template of this.#templates) if (template.match(path)) return true;
    return false;
  }
}

class Template {
  /** Up to `{**}`. */
  readonly #segments: readonly string[];
  /** What follows `{**}`; null: there is none, and the path ends with the segments. */
  readonly #rest: string | null;

  constructor(template: string) {
    const at = template.indexOf(ANY_SEGMENTS);
    this.#segments = (at < 0 ? template : template.slice(0, Math.max(0, at - 1))).split("/");
    this.#rest = at < 0 ? null : template.slice(at + ANY_SEGMENTS.length);
  }

  match(path: string): boolean {
    const segments = path.split("/");
    const wanted = this.#segments;
    if (this.#rest === null ? segments.length !== wanted.length : segments.length <= wanted.length) {
      return false;
    }
    for (const [index, segment] of wanted.entries()) {
      const found = segments[index] as string;
      if (segment === ONE_SEGMENT ? found === "" : segment !== found) return false;
    }
    return this.#rest === null || segments.slice(wanted.length).join("/").endsWith(this.#rest);
  }
}

/** RFC 3986 §2.3, and what else stands for itself in a path (§3.3), as paths of requests have it. */
const ESCAPED = /%([0-9A-Fa-f]{2})/g;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** People write `/café` and `/%7euser`; requests come with `/caf%C3%A9` and `/~user`. */
function canonical(pattern: string): string {
  const ascii = pattern.toWellFormed().replace(/[^\x21-\x7e]+/g, (text) => encodeURIComponent(text));
  return ascii.replace(ESCAPED, (_, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return UNRESERVED.test(character) ? character : `%${digits.toUpperCase()}`;
  });
}

/** A path without the parameters of its segments (`;x=y`, escaped or not), as servers that know them read it. */
export function withoutParameters(path: string): string {
  if (!path.includes(";") && !path.includes("%3B")) return path;
  return path.split("/").map((segment) => segment.replace(/(?:;|%3B).*$/, "")).join("/");
}
