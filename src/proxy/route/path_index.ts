/**
 * Finds the first of many rules that takes a request, without asking each of them: by the whole path, and by the prefixes
 * that it begins with. Rules that ask for neither are asked one by one.
 */
import type { Route } from "../../model/route.ts";

/** With fewer routes it is quicker to ask them all. */
export const INDEXED_ROUTES_MIN = 8;

const NONE: readonly number[] = [];

/** A path, or the beginning of paths. */
export interface PathKey {
  readonly type: "exact" | "prefix";
  readonly value: string;
}

export class PathIndex {
  readonly #exact = new Map<string, number[]>();
  /** One for each length of a prefix, in no order. */
  readonly #prefixes: { readonly length: number; readonly rules: Map<string, number[]> }[] = [];
  /** Rules that take some request whatever its path. */
  readonly #others: number[] = [];

  /** For each rule, in order, all paths that it takes; null: it takes others too. */
  constructor(rules: Iterable<readonly PathKey[] | null>) {
    let index = 0;
    for (const keys of rules) this.#add(index++, keys);
  }

  /** The first of `items`, one for each rule, that takes the request with this path; only those are asked that may. */
  find<Item, Request>(
    path: string,
    request: Request,
    items: readonly Item[],
    takes: (item: Item, request: Request) => boolean,
  ): Item | undefined {
    let found = first(this.#others, items.length, request, items, takes);
    found = first(this.#exact.get(path) ?? NONE, found, request, items, takes);
    for (const { length, rules } of this.#prefixes) {
      if (length > path.length) continue;
      found = first(rules.get(path.slice(0, length)) ?? NONE, found, request, items, takes);
    }
    return items[found];
  }

  #add(index: number, keys: readonly PathKey[] | null): void {
    if (keys === null) this.#others.push(index);
    for (const { type, value } of keys ?? []) {
      push(type === "exact" ? this.#exact : this.#ofLength(value.length), value, index);
    }
  }

  #ofLength(length: number): Map<string, number[]> {
    const known = this.#prefixes.find((one) => one.length === length);
    if (known !== undefined) return known.rules;
    const rules = new Map<string, number[]>();
    this.#prefixes.push({ length, rules });
    return rules;
  }
}

/** The paths that a route takes; null: others too. */
export function routePathKeys({ matches }: Route): readonly PathKey[] | null {
  const keys: PathKey[] = [];
  for (const { path, ignorePathCase } of matches) {
    if (path === null || ignorePathCase || (path.type !== "exact" && path.type !== "prefix")) return null;
    keys.push({ type: path.type, value: path.value });
  }
  return keys.length > 0 ? keys : null;
}

/** The first of the candidates below `limit` that takes it, else the limit. */
function first<Item, Request>(
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

/** One rule may have several alternatives of one path. */
function push(map: Map<string, number[]>, key: string, index: number): void {
  const indices = map.get(key);
  if (indices === undefined) map.set(key, [index]);
  else if (indices.at(-1) !== index) indices.push(index);
}
