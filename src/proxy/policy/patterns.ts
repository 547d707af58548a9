/** Istio's string patterns: `abc` is the text, `abc*` its beginning, `*abc` its end, and `*` that there is one. */
import type { TextKey } from "../../lib/text_index.ts";

export class Patterns {
  readonly #exact = new Set<string>();
  readonly #prefixes: string[] = [];
  readonly #suffixes: string[] = [];
  #present = false;

  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) {
      if (pattern === "*") this.#present = true;
      else if (pattern.startsWith("*")) this.#suffixes.push(pattern.slice(1));
      else if (pattern.endsWith("*")) this.#prefixes.push(pattern.slice(0, -1));
      else this.#exact.add(pattern);
    }
  }

  /** One for each pattern: a text that matches has it. */
  get keys(): readonly TextKey[] {
    const keys: TextKey[] = this.#present ? [{ type: "prefix", value: "" }] : [];
    for (const value of this.#exact) keys.push({ type: "exact", value });
    for (const value of this.#prefixes) keys.push({ type: "prefix", value });
    for (const value of this.#suffixes) keys.push({ type: "suffix", value });
    return keys;
  }

  /** Some pattern asks only that there is something. */
  get asksForPresence(): boolean {
    return this.#present;
  }

  /** The empty text is as good as none, and matches nothing. */
  match(text: string): boolean {
    if (text === "") return false;
    if (this.#present || this.#exact.has(text)) return true;
    for (const prefix of this.#prefixes) if (text.startsWith(prefix)) return true;
    for (const suffix of this.#suffixes) if (text.endsWith(suffix)) return true;
    return false;
  }
}
