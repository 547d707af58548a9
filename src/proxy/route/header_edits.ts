/** Header operations of a route, compiled: what is removed, replaced and appended, in Envoy's order. */
import { isFixedHeader } from "../../model/fixed_headers.ts";
import type { HeaderEdits } from "../../model/route.ts";
import type { HeaderList } from "../exchange.ts";

export class CompiledHeaderEdits {
  readonly #remove: ReadonlySet<string>;
  /** Flat, as a HeaderList: of several `set` for one name the last counts. */
  readonly #append: HeaderList;

  constructor({ remove, set, add }: HeaderEdits) {
    const last = new Map(editable(set));
    this.#remove = new Set([...remove.filter((name) => !isFixedHeader(name)), ...last.keys()]);
    this.#append = [...last, ...editable(add)].flat();
  }

  /** Edits a head in place. A header that is added stands in a field of its own, which means the same as a list. */
  apply(headers: HeaderList): void {
    if (this.#remove.size > 0) this.#drop(headers);
    for (const part of this.#append) headers.push(part);
  }

  #drop(headers: HeaderList): void {
    let kept = 0;
    for (let i = 0; i < headers.length; i += 2) {
      if (this.#remove.has(headers[i] as string)) continue;
      headers[kept++] = headers[i] as string;
      headers[kept++] = headers[i + 1] as string;
    }
    headers.length = kept;
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
