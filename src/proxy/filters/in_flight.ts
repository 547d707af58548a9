/** The requests that a proxy carries at once, both ways together. */

export class InFlight {
  readonly #max: number;
  #count = 0;
  #refused = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Requests that were one too many, since the start. */
  get refused(): number {
    return this.#refused;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
  }

  /** Whether the request that began last is one too many; then it is counted as refused. */
  refuses(): boolean {
    if (this.#count <= this.#max) return false;
    this.#refused++;
    return true;
  }
}
