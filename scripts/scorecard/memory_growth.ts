/** What peers cost the two sidecars of a stand: resident memory before and after, divided by their number. */
import type { Bowline } from "../../tests/integration/bowline.ts";
import { rssMib } from "../../tests/integration/process_figures.ts";
import { atMost, type Check, type Size } from "./row.ts";
import type { Stand } from "./stand.ts";

/** Of a handful the figure says nothing: the heap alone moves by more. */
const KIB_EACH_MAX = { full: 256, small: 2_048 };
const STEADY_LOOK_MS = 5_000;
const STEADY_MS_MAX = 30_000;
const STEADY_MIB = 2;

export class MemoryBefore {
  readonly #sidecars: readonly (readonly [name: string, process: Bowline, beforeMib: number])[];

  constructor({ client, stores }: Stand) {
    const store = stores[0] as Bowline;
    this.#sidecars = [
      ["the caller's sidecar", client, rssMib(client)],
      ["the service's sidecar", store, rssMib(store)],
    ];
  }

  async growth(count: number, size: Size, what: string): Promise<Check[]> {
    if (size === "full") await this.#untilSteady();
    return this.#sidecars.map(([name, process, beforeMib]) => {
      const kib = (rssMib(process) - beforeMib) * 1_024 / count;
      return atMost(`${what}, in ${name}`, kib, KIB_EACH_MAX[size], "KiB");
    });
  }

  /** What was read before everything stood still is garbage, which is collected in its own time. */
  async #untilSteady(): Promise<void> {
    const sum = () => this.#sidecars.reduce((total, [, process]) => total + rssMib(process), 0);
    for (let waitedMs = 0, before = 0; waitedMs < STEADY_MS_MAX; waitedMs += STEADY_LOOK_MS) {
      if (Math.abs(sum() - before) < STEADY_MIB) return;
      before = sum();
      await Bun.sleep(STEADY_LOOK_MS);
    }
  }
}
