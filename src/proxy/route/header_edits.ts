/** Header operations of a route, compiled: what is removed, replaced and appended, in Envoy's order. */
import { isFixedHeader } from "../../model/fixed_headers.ts";
import type { HeaderEdits } from "../../model/route.ts";
import type { HeaderList } from "../exchange.ts";
import { type CallSource, drop, FormattedHeaderEdits } from "./formatted_header_edits.ts";

/** Edits that are the same for all requests; those with formatted values are FormattedHeaderEdits. */
export class CompiledHeaderEdits {
  readonly #remove: ReadonlySet<string>;
  /** Flat, as a HeaderList: of several `set` for one name the last counts. */
  readonly #append: HeaderList;
  /** Null where nothing is made for each request. */
  readonly #formatted: FormattedHeaderEdits | null;

  /** Throws when a format is none. */
  constructor({ remove, set, add, formatted = [] }: HeaderEdits) {
    const last = new Map(editable(set));
    const removed = remove.filter((name) => !isFixedHeader(name));
    this.#remove = new Set([...removed, ...last.keys()]);
    this.#append = [...last, ...editable(add)].flat();
    this.#formatted = formatted.length === 0
      ? null
      : new FormattedHeaderEdits(new Set(removed), [...last], editable(add), formatted);
  }

  /**
   * Edits a head in place. A header that is added stands in a field of its own, which means the same as a list. `source`
   * is asked where a value is made for each request.
   */
  apply(headers: HeaderList, source: CallSource): void {
    if (this.#formatted !== null) return this.#formatted.apply(headers, source.formattedCall(headers));
    if (this.#remove.size > 0) drop(headers, this.#remove);
    for (const part of this.#append) headers.push(part);
  }
}

/** Null where there is nothing to do. */
export function compileHeaderEdits(edits: HeaderEdits | undefined): CompiledHeaderEdits | null {
  return edits === undefined ? null : new CompiledHeaderEdits(edits);
}

/** An empty value sets nothing: Envoy leaves out headers without a value. */
function editable(pairs: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  return pairs.filter(([name, value]) => value !== "" && !isFixedHeader(name));
}
