/**
 * Where the values of a document stand in its text. The parser's tree would say it as well, and takes ten times the
 * memory; thousands of documents are kept for as long as they serve.
 */
import type { LineCounter } from "yaml";
import type { Path } from "./yaml_node.ts";
import type { Position } from "./resource.ts";

/** Of each value: where it begins, where its key does, and of how many values it consists. */
const NUMBERS = 3;

/** The key of a value that has none: an item of a list, or the whole. */
const NO_KEY = 0xffff_ffff;

/** The values of a document, each before those in it, in the order in which JavaScript has them. */
export class PlacesBuilder {
  readonly #numbers: number[] = [];

  /** Begins a value; returns it for end(). */
  begin(offset: number, keyOffset: number | null): number {
    this.#numbers.push(offset, keyOffset ?? NO_KEY, 0);
    return this.#numbers.length / NUMBERS - 1;
  }

  /** All values in it have ended. */
  end(value: number): void {
    this.#numbers[value * NUMBERS + 2] = this.#numbers.length / NUMBERS - value;
  }

  finish(file: string, lines: LineCounter): Places {
    return new Places(file, lines, Uint32Array.from(this.#numbers));
  }
}

export class Places {
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #numbers: Uint32Array;

  constructor(file: string, lines: LineCounter, numbers: Uint32Array) {
    this.#file = file;
    this.#lines = lines;
    this.#numbers = numbers;
  }

  /** The number of the value at `path` in `value`, whose own number is `at`; of its nearest ancestor when it is absent. */
  find(at: number, value: unknown, path: Path): number {
    for (const step of path) {
      const index = indexOf(value, step);
      if (index < 0) return at;
      at = this.child(at, index);
      value = (value as Record<string | number, unknown>)[step];
    }
    return at;
  }

  /** The number of a value in a list or mapping. */
  child(at: number, index: number): number {
    let child = at + 1;
    for (let before = 0; before < index; before++) child += this.#numbers[child * NUMBERS + 2] as number;
    return child;
  }

  position(at: number): Position {
    return this.#position(this.#numbers[at * NUMBERS] as number);
  }

  /** Where its key stands; the value itself when it has none. */
  keyPosition(at: number): Position {
    const offset = this.#numbers[at * NUMBERS + 1] as number;
    return offset === NO_KEY ? this.position(at) : this.#position(offset);
  }

  #position(offset: number): Position {
    return positionAt(this.#file, this.#lines, offset);
  }
}

export function positionAt(file: string, lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(1, line), column: Math.max(1, col) };
}

/** Negative: there is none. */
function indexOf(value: unknown, step: string | number): number {
  if (Array.isArray(value)) return typeof step === "number" && step < value.length ? step : -1;
  return typeof value === "object" && value !== null ? Object.keys(value).indexOf(String(step)) : -1;
}
