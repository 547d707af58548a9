/**
 * Finds the first of many routes that takes a request, without asking each of them: by the whole path, and by the
 * prefixes that it begins with. Routes that ask for neither are asked one by one.
 */
import { firstOf, TextIndex, type TextKey } from "../../lib/text_index.ts";
import type { Route } from "../../model/route.ts";

/** With fewer routes it is quicker to ask them all. */
export const INDEXED_ROUTES_MIN = 8;

export class PathIndex {
  readonly #paths = new TextIndex();
  /** Routes that take some request whatever its path. */
  readonly #others: number[] = [];

  /** For each route, in order, all paths that it takes; null: it takes others too. */
  constructor(routes: Iterable<readonly TextKey[] | null>) {
    let index = 0;
    for (const keys of routes) {
      if (keys === null) this.#others.push(index);
      for (const key of keys ?? []) this.#paths.add(key, index);
      index++;
    }
  }

  /** The first of `items`, one for each route, that takes the request with this path; only those are asked that may. */
  find<Item, Request>(
    path: string,
    request: Request,
    items: readonly Item[],
    takes: (item: Item, request: Request) => boolean,
  ): Item | undefined {
    const found = firstOf(this.#others, items.length, request, items, takes);
    return items[this.#paths.find(path, found, request, items, takes)];
  }
}

/** The paths that a route takes; null: others too. */
export function routePathKeys({ matches }: Route): readonly TextKey[] | null {
  const keys: TextKey[] = [];
  for (const { path, ignorePathCase } of matches) {
    if (path === null || ignorePathCase || (path.type !== "exact" && path.type !== "prefix")) return null;
    keys.push({ type: path.type, value: path.value });
  }
  return keys.length > 0 ? keys : null;
}
