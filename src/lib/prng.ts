/** xoshiro128**: fast, seedable randomness for balancing, sampling and trace ids. Never for secrets. */

export interface Random {
  /** A whole number in 0 … 2^32-1. */
  uint32(): number;
  /** A number in [0, 1). */
  float(): number;
  /** A whole number in 0 … limit-1; `limit` is 1 or more. */
  below(limit: number): number;
}

export class Prng implements Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the whole state.
    let z = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let t = z ^ (z >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      this.#state[i] = (t ^ (t >>> 15)) >>> 0;
    }
  }

  uint32(): number {
    const s = this.#state as unknown as [number, number, number, number];
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  float(): number {
    return this.uint32() / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.float() * limit);
  }
}

/** A seed that differs on every start. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number;
}
