/** Texts to be read: anything at all, and what is put together of pieces that mean something to the reader. */
import fc from "fast-check";

export function textOf(...pieces: readonly string[]): fc.Arbitrary<string> {
  const made = fc.array(fc.constantFrom(...pieces)).map((some) => some.join(""));
  return fc.oneof(fc.string({ unit: "binary" }), made);
}
