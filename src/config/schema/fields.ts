/**
 * Objects of Istio's API. Every field is implemented, known but refused by name, or unknown: nothing that somebody
 * wrote is ever dropped in silence.
 */
import * as v from "valibot";
import { nearest } from "../../lib/edit_distance.ts";
import { isMap } from "../../lib/is_map.ts";
import { type Api, unimplementedField, unknownField, wrong } from "./problem.ts";

/** A schema for any input with the given output. */
export type Schema<Output> = v.GenericSchema<unknown, Output>;

/**
 * An object with the given fields. `unimplemented` lists the other fields of the same message of the API (in the
 * camel case of its YAML); they are refused by name, and every other field is unknown.
 */
export function fields<const Entries extends v.ObjectEntries>(
  entries: Entries,
  unimplemented: readonly string[] = [],
  api: Api = "Istio",
): Schema<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const implemented = new Set(Object.keys(entries));
  const refused = new Set(unimplemented);
  const candidates = [...implemented, ...refused];
  const schema = v.pipe(
    v.custom<Record<string, unknown>>(isMap),
    v.looseObject(entries),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!isMap(dataset.value)) return;
      for (const [name, value] of Object.entries(dataset.value)) {
        if (implemented.has(name)) continue;
        const message = refused.has(name)
          ? unimplementedField(name, api)
          : unknownField(name, nearest(name, candidates));
        addIssue({
          message,
          path: [{ type: "object", origin: "key", input: dataset.value, key: name, value }],
        });
      }
    }),
  );
  // A value with a field that is not in `entries` has an issue, so what comes out has exactly these fields.
  return schema as unknown as Schema<v.InferOutput<v.ObjectSchema<Entries, undefined>>>;
}

/** A field that may be absent, or empty in YAML, and is null then. */
export function optional<Output>(schema: Schema<Output>) {
  return v.nullish(schema, null);
}

/** A list that may be absent and is empty then. */
export function list<Output>(item: Schema<Output>) {
  return v.nullish(v.array(item) as unknown as Schema<Output[]>, []);
}

/** A list of at least one item; `what` names the items in the message: "a host". */
export function listOfSome<Output>(item: Schema<Output>, what: string): Schema<Output[]> {
  return v.pipe(v.array(item), v.minLength(1, wrong(`needs at least ${what}`))) as unknown as Schema<
    Output[]
  >;
}

/** A map from free keys to one kind of value; absent is empty. */
export function map<Output>(value: Schema<Output>, key: v.GenericSchema<string, string> = v.string()) {
  const record = v.pipe(v.custom<Record<string, unknown>>(isMap), v.record(key, value));
  return v.nullish(record as unknown as Schema<Record<string, Output>>, {});
}
