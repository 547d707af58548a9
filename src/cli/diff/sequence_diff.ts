/** How one list became another, when its items have no names: which stayed, changed in place, came and went. */

export type ItemChange<Item> =
  | { readonly change: "added"; readonly before: null; readonly after: Item }
  | { readonly change: "removed"; readonly before: Item; readonly after: null }
  | { readonly change: "changed"; readonly before: Item; readonly after: Item };

/**
 * Aligns the two lists by their longest common subsequence; between what stayed, an old and a new item make a change.
 * Time and memory grow with the product of both lengths without what is equal at their ends.
 */
export function sequenceDiff<Item>(
  before: readonly Item[],
  after: readonly Item[],
  same: (a: Item, b: Item) => boolean,
): ItemChange<Item>[] {
  let start = 0;
  while (start < before.length && start < after.length && same(at(before, start), at(after, start))) start++;
  let end = 0;
  while (
    end < before.length - start && end < after.length - start &&
    same(at(before, before.length - 1 - end), at(after, after.length - 1 - end))
  ) end++;
  const old = before.slice(start, before.length - end);
  const now = after.slice(start, after.length - end);
  const changes: ItemChange<Item>[] = [];
  let from = { old: 0, now: 0 };
  for (const kept of [...common(old, now, same), { old: old.length, now: now.length }]) {
    changes.push(...gap(old.slice(from.old, kept.old), now.slice(from.now, kept.now)));
    from = { old: kept.old + 1, now: kept.now + 1 };
  }
  return changes;
}

/** Between two items that stayed: as many changes as both sides have, then what only one side has. */
function gap<Item>(old: readonly Item[], now: readonly Item[]): ItemChange<Item>[] {
  const both = Math.min(old.length, now.length);
  return [
    ...old.slice(0, both).map((before, index) => ({
      change: "changed" as const,
      before,
      after: at(now, index),
    })),
    ...old.slice(both).map((before) => ({ change: "removed" as const, before, after: null })),
    ...now.slice(both).map((after) => ({ change: "added" as const, before: null, after })),
  ];
}

/** Pairs of indices of a longest common subsequence. */
function common<Item>(
  old: readonly Item[],
  now: readonly Item[],
  same: (a: Item, b: Item) => boolean,
): { old: number; now: number }[] {
  // lengths[i][j]: of what old from i and now from j have in common.
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
  const row = (index: number) => lengths[index] as Uint32Array;
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      row(i)[j] = same(at(old, i), at(now, j))
        ? at(row(i + 1), j + 1) + 1
        : Math.max(at(row(i + 1), j), at(row(i), j + 1));
    }
  }
  const pairs: { old: number; now: number }[] = [];
  for (let i = 0, j = 0; i < old.length && j < now.length;) {
    if (same(at(old, i), at(now, j))) pairs.push({ old: i++, now: j++ });
    else if (at(row(i + 1), j) >= at(row(i), j + 1)) i++;
    else j++;
  }
  return pairs;
}

function at<Item>(list: ArrayLike<Item>, index: number): Item {
  return list[index] as Item;
}
