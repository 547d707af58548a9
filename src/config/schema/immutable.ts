/** Makes the type of what a schema gives read-only, all the way down: a resource never changes once it is validated. */
export type Immutable<Value> = Value extends string | number | boolean | null | undefined ? Value
  : Value extends readonly (infer Item)[] ? readonly Immutable<Item>[]
  : { readonly [Key in keyof Value]: Immutable<Value[Key]> };
