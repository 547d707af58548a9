/** Workers without processes: what was said to each, and answers when the test says so. */
import type { WorkerProcessEvents } from "../../../../src/runtime/worker_process.ts";
import type { StartWorker } from "../../../../src/sidecar/workers/worker_link.ts";
import {
  type FromWorker,
  NOTHING_COUNTED,
  type ToWorker,
  type WorkerCounts,
} from "../../../../src/sidecar/workers/worker_messages.ts";
import { settle } from "../../proxy/fake_wire.ts";

export class FakeWorker {
  readonly heard: ToWorker[] = [];
  killed = false;
  readonly #events: WorkerProcessEvents;

  constructor(readonly number: number, readonly pid: number, events: WorkerProcessEvents) {
    this.#events = events;
  }

  /** Types of what it heard, in order. */
  get types(): string[] {
    return this.heard.map(({ type }) => type);
  }

  async says(message: FromWorker): Promise<void> {
    await this.babbles(message);
  }

  /** Anything at all. */
  async babbles(message: unknown): Promise<void> {
    this.#events.message(JSON.parse(JSON.stringify(message)));
    await settle();
  }

  /** Answers the latest message of the type. */
  async answers(type: ToWorker["type"], counts: Partial<WorkerCounts> | null = null): Promise<void> {
    const message = this.heard.findLast((one) => one.type === type);
    if (message === undefined || message.type === "identity") throw new Error(`It was not asked to ${type}`);
    if (message.type === "tap") throw new Error("Nobody answers that");
    const { id } = message;
    if (counts === null) return await this.says({ type: "done", id });
    await this.says({ type: "counts", id, counts: { ...NOTHING_COUNTED, ...counts } });
  }

  /** Greets and serves. */
  async serves(): Promise<void> {
    await this.says({ type: "hello" });
    await this.answers("start");
  }

  async ends(
    exit: { code: number | null; signal: string | null } = { code: 1, signal: null },
  ): Promise<void> {
    this.#events.ended(exit);
    await settle();
  }
}

/** Every worker that was started, in order. */
export class FakeWorkers {
  readonly all: FakeWorker[] = [];
  /** Set, no worker can be started. */
  failure: Error | null = null;

  readonly start: StartWorker = (number, events) => {
    if (this.failure !== null) throw this.failure;
    const worker = new FakeWorker(number, 100 + this.all.length, events);
    this.all.push(worker);
    return {
      pid: worker.pid,
      send: (message) => worker.heard.push(JSON.parse(JSON.stringify(message))),
      kill: () => worker.killed = true,
    };
  };
}
