/**
 * Where the values of a document stand in its text. The parser's tree would say it as well, and takes ten times the
 * memory; thousands of documents are kept for as long as they serve.
 */
import { LineCounter } from "yaml";
import type { Position } from "./resource.ts";

/** Keys and indices, from the document down. */
export type Path = readonly (string | number)[];

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

  finish(lines: Lines): Places {
    return new Places(lines, Uint32Array.from(this.#numbers));
  }
}

export class Places {
  readonly #lines: Lines;
  readonly #numbers: Uint32Array;

  constructor(lines: Lines, numbers: Uint32Array) {
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
    return this.#lines.position(this.#numbers[at * NUMBERS] as number);
  }

  /** Where its key stands; the value itself when it has none. */
  keyPosition(at: number): Position {
    const offset = this.#numbers[at * NUMBERS + 1] as number;
    return offset === NO_KEY ? this.position(at) : this.#lines.position(offset);
  }
}

/** The lines of a text, which may be a part of a file. */
export class Lines {
  readonly #file: string;
  readonly #first: number;
  readonly #counter = new LineCounter();

  /** `first` is the number of the text's first line in the file. */
  constructor(file: string, text: string, first: number) {
    this.#file = file;
    this.#first = first;
    // The parser's own count misses some line ends in broken documents.
    for (let start = 0; start !== -1; start = text.indexOf("\n", start) + 1 || -1) {
      this.#counter.addNewLine(start);
    }
  }

  position(offset: number): Position {
    const { line, col } = this.#counter.linePos(offset);
    return { file: this.#file, line: Math.max(1, line) + this.#first - 1, column: Math.max(1, col) };
  }
}

/** Negative: there is none. */
function indexOf(value: unknown, step: string | number): number {
  if (Array.isArray(value)) return typeof step === "number" && step < value.length ? step : -1;
  return typeof value === "object" && value !== null ? Object.keys(value).indexOf(String(step)) : -1;
}
