/**
 * Earliest deadline first, as Envoy balances by weight: whoever was given falls due again after 1/weight, weighed anew
 * each time. Shares are exact over any stretch of picks, and a pick costs log n.
 */
import type { Random } from "../../../lib/prng.ts";

export class DeadlineSchedule<Member> {
  readonly #members: readonly Member[];
  readonly #weigh: (member: Member) => number;
  /** When each member falls due. */
  readonly #due: Float64Array;
  /** Indexes of the members, a heap by deadline. */
  readonly #heap: Uint32Array;

  /** Weights are above 0. Each member begins somewhere in its period, so that heavy ones do not all come first. */
  constructor(members: readonly Member[], weigh: (member: Member) => number, random: Random) {
    this.#members = members;
    this.#weigh = weigh;
    this.#due = Float64Array.from(members, (member) => random.float() / weigh(member));
    this.#heap = Uint32Array.from(members, (_, index) => index).sort((a, b) =>
      this.#dueOf(a) - this.#dueOf(b)
    );
  }

  /** The member whose turn it is. */
  next(): Member {
    const index = this.#heap[0] as number;
    const member = this.#members[index] as Member;
    this.#due[index] = this.#dueOf(index) + 1 / this.#weigh(member);
    this.#sink(index);
    return member;
  }

  #dueOf(index: number): number {
    return this.#due[index] as number;
  }

  /** Moves the first of the heap down to its place. */
  #sink(index: number): void {
    const heap = this.#heap;
    const due = this.#dueOf(index);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#earlier(child + 1, child)) child++;
      const lower = heap[child] as number;
      if (this.#dueOf(lower) >= due) break;
      heap[at] = lower;
      at = child;
    }
    heap[at] = index;
  }

  #earlier(a: number, b: number): boolean {
    return this.#dueOf(this.#heap[a] as number) < this.#dueOf(this.#heap[b] as number);
  }
}
