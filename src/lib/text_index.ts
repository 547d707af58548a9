/**
 * Finds the first of many items that takes a text, without asking each of them: by the whole text, and by the beginnings
 * and ends that it has. Which items may take what is said once, in the order of the items.
 */

/** A text, or the beginning or the end of texts; an empty beginning is any text. */
export interface TextKey {
  readonly type: "exact" | "prefix" | "suffix";
  readonly value: string;
}

interface OfLength {
  readonly length: number;
  readonly items: Map<string, number[]>;
}

const NONE: readonly number[] = [];

export class TextIndex {
  readonly #exact = new Map<string, number[]>();
  /** One for each length, in no order. */
  readonly #prefixes: OfLength[] = [];
  readonly #suffixes: OfLength[] = [];

  /** Items come in order; one may have several keys. */
  add({ type, value }: TextKey, item: number): void {
    if (type === "exact") return push(this.#exact, value, item);
    push(ofLength(type === "prefix" ? this.#prefixes : this.#suffixes, value.length), value, item);
  }

  /** The number of the first item below `limit` that may take the text and does; else `limit`. */
  find<Item, Request>(
    text: string,
    limit: number,
    request: Request,
    items: readonly Item[],
    takes: (item: Item, request: Request) => boolean,
  ): number {
    let found = firstOf(this.#exact.get(text) ?? NONE, limit, request, items, takes);
    for (const { length, items: known } of this.#prefixes) {
      if (length > text.length) continue;
      found = firstOf(known.get(text.slice(0, length)) ?? NONE, found, request, items, takes);
    }
    for (const { length, items: known } of this.#suffixes) {
      if (length > text.length) continue;
      found = firstOf(known.get(text.slice(text.length - length)) ?? NONE, found, request, items, takes);
    }
    return found;
  }
}

/** The first of the candidates below `limit` that takes it, else the limit. */
export function firstOf<Item, Request>(
  candidates: readonly number[],
  limit: number,
  request: Request,
  items: readonly Item[],
  takes: (item: Item, request: Request) => boolean,
): number {
  for (const index of candidates) {
    if (index >= limit) return limit;
    if (takes(items[index] as Item, request)) return index;
  }
  return limit;
}

function ofLength(all: OfLength[], length: number): Map<string, number[]> {
  const known = all.find((one) => one.length === length);
  if (known !== undefined) return known.items;
  const items = new Map<string, number[]>();
  all.push({ length, items });
  return items;
}

/** One item may have several alternatives of one text. */
function push(map: Map<string, number[]>, key: string, item: number): void {
  const items = map.get(key);
  if (items === undefined) map.set(key, [item]);
  else if (items.at(-1) !== item) items.push(item);
}
