/** Patterns of paths, among them templates, in the one form that paths of requests have (route/normal_path.ts). */
import { Patterns } from "./patterns.ts";
import type { RuleKey } from "./rule_key.ts";

const ONE_SEGMENT = "{*}";
const ANY_SEGMENTS = "{**}";

export class PathPatterns {
  readonly #patterns: Patterns;
  readonly #templates: readonly Template[];

  constructor(written: readonly string[]) {
    const texts = written.map(canonical);
    const isTemplate = (text: string) => text.includes(ONE_SEGMENT) || text.includes(ANY_SEGMENTS);
    this.#patterns = new Patterns(texts.filter((text) => !isTemplate(text)));
    this.#templates = texts.filter(isTemplate).map((text) => new Template(text));
  }

  /** For each pattern what a path that matches has: all of it. */
  get wanted(): readonly (readonly RuleKey[])[] {
    const plain = this.#patterns.keys.map((key): RuleKey[] => [{ field: "path", name: "", ...key }]);
    return [...plain, ...this.#templates.map(({ wanted }) => wanted)];
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

  /** Its fixed segments, wherever they stand, and its end. */
  get wanted(): readonly RuleKey[] {
    const keys: RuleKey[] = [];
    for (const [number, value] of this.#segments.entries()) {
      if (number > 0 && value !== ONE_SEGMENT) {
        keys.push({ field: "segment", name: String(number), type: "exact", value });
      }
    }
    if (this.#rest !== null) keys.push({ field: "path", name: "", type: "suffix", value: this.#rest });
    return keys.length > 0 ? keys : [{ field: "path", name: "", type: "prefix", value: "/" }];
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
