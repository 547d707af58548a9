/**
 * Finds the first of many routes that takes a request, without asking each of them: by the whole path, and by the prefixes
 * that it begins with. Routes that ask for neither are asked one by one.
 */
import type { Route } from "../../model/route.ts";
import type { RequestHead } from "../exchange.ts";
import { pathWithoutQuery } from "./conditions.ts";

/** With fewer routes it is quicker to ask them all. */
export const INDEXED_ROUTES_MIN = 8;

const NONE: readonly number[] = [];

export class PathIndex {
  readonly #exact = new Map<string, number[]>();
  /** One for each length of a prefix, in no order. */
  readonly #prefixes: { readonly length: number; readonly routes: Map<string, number[]> }[] = [];
  /** Routes that some request takes whatever its path. */
  readonly #others: number[] = [];

  /** Of all routes of a virtual host, in order. */
  constructor(routes: readonly Route[]) {
    for (const [index, route] of routes.entries()) this.#add(index, route);
  }

  /** The first of `items`, one for each route, that takes the request; only those are asked that may. */
  find<Item>(
    head: RequestHead,
    items: readonly Item[],
    takes: (item: Item, head: RequestHead) => boolean,
  ): Item | undefined {
    const path = pathWithoutQuery(head);
    let found = first(this.#others, items.length, head, items, takes);
    found = first(this.#exact.get(path) ?? NONE, found, head, items, takes);
    for (const { length, routes } of this.#prefixes) {
      if (length > path.length) continue;
      found = first(routes.get(path.slice(0, length)) ?? NONE, found, head, items, takes);
    }
    return items[found];
  }

  #add(index: number, { matches }: Route): void {
    const indexable = matches.length > 0 &&
      matches.every(({ path, ignorePathCase }) =>
        path !== null && !ignorePathCase && (path.type === "exact" || path.type === "prefix")
      );
    if (!indexable) {
      this.#others.push(index);
      return;
    }
    for (const { path } of matches) {
      if (path?.type === "exact") push(this.#exact, path.value, index);
      else if (path?.type === "prefix") push(this.#ofLength(path.value.length), path.value, index);
    }
  }

  #ofLength(length: number): Map<string, number[]> {
    const known = this.#prefixes.find((one) => one.length === length);
    if (known !== undefined) return known.routes;
    const routes = new Map<string, number[]>();
    this.#prefixes.push({ length, routes });
    return routes;
  }
}

/** The first of the candidates below `limit` that takes it, else the limit. */
function first<Item>(
  candidates: readonly number[],
  limit: number,
  head: RequestHead,
  items: readonly Item[],
  takes: (item: Item, head: RequestHead) => boolean,
): number {
  for (const index of candidates) {
    if (index >= limit) return limit;
    if (takes(items[index] as Item, head)) return index;
  }
  return limit;
}

/** One route may have several alternatives of one path. */
function push(map: Map<string, number[]>, key: string, index: number): void {
  const indices = map.get(key);
  if (indices === undefined) map.set(key, [index]);
  else if (indices.at(-1) !== index) indices.push(index);
}
