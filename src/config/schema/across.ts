/** Checks that look at several fields of a value at once, and say at which of them the fault lies. */
import * as v from "valibot";

/** One fault: a valibot message made by `wrong()` and its kin, and where it lies below the value; `[]` is the value. */
export interface Fault {
  readonly message: string;
  readonly at: readonly (string | number)[];
}

/** A validation of a value as a whole; `find` yields what is wrong with it. `{}` in a message stands for what is there. */
export function across<Value>(find: (value: Value) => Iterable<Fault>) {
  return v.rawCheck<Value>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const { message, at } of find(dataset.value)) {
      if (at.length === 0) addIssue({ message });
      else addIssue({ message, input: valueAt(dataset.value, at), path: pathItems(dataset.value, at) });
    }
  });
}

type PathItems = [v.IssuePathItem, ...v.IssuePathItem[]];

function pathItems(root: unknown, at: readonly (string | number)[]): PathItems {
  let input = root;
  const items = at.map((key): v.IssuePathItem => {
    const value = valueAt(input, [key]);
    const item = typeof key === "number"
      ? { type: "array", origin: "value", input: input as unknown[], key, value } as const
      : { type: "object", origin: "value", input: input as Record<string, unknown>, key, value } as const;
    input = value;
    return item;
  });
  return items as PathItems;
}

function valueAt(root: unknown, at: readonly (string | number)[]): unknown {
  let value = root;
  for (const key of at) value = (value as Record<string | number, unknown> | null | undefined)?.[key];
  return value;
}
