/** Where an answer is not what was expected of it. */
import { isMap } from "../../lib/is_map.ts";

export interface Mismatch {
  /** `destinations[0].subset`. */
  readonly field: string;
  readonly expected: unknown;
  /** Undefined: the answer has no such field. */
  readonly actual: unknown;
}

/** A mapping must have what the expected one names; a list, as many items, each as expected; anything else is equal. */
export function mismatches(expected: unknown, actual: unknown, field = ""): Mismatch[] {
  if (isMap(expected) && isMap(actual)) {
    return Object.entries(expected).flatMap(([name, value]) =>
      mismatches(
        value,
        Object.hasOwn(actual, name) ? actual[name] : undefined,
        field === "" ? name : `${field}.${name}`,
      )
    );
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return expected.flatMap((value, index) => mismatches(value, actual[index], `${field}[${index}]`));
  }
  return expected === actual ? [] : [{ field, expected, actual }];
}
