/** The main process's end of one worker, from its start to its end: questions, answers, and an ear for silence. */
import { messageOf } from "../../lib/message_of.ts";
import { ChildStartError } from "../../runtime/child_process.ts";
import type { WorkerProcess, WorkerProcessEvents } from "../../runtime/worker_process.ts";
import {
  type Change,
  type Close,
  type Collect,
  type Drain,
  type DrainOlder,
  type End,
  type OpenTap,
  readFromWorker,
  type Start,
  type UseIdentity,
  type WorkerCounts,
} from "./worker_messages.ts";

/** A worker that says nothing while it is asked this often hangs, and is ended. */
export const SILENT_LOOKS_MAX = 30;

/** Starts the process of the worker with this number. Throws ChildStartError. */
export type StartWorker = (number: number, events: WorkerProcessEvents) => WorkerProcess;

export interface WorkerLinkEvents {
  /** The worker listens for messages. */
  greeted(): void;
  counted(counts: WorkerCounts): void;
  /** The process is gone, and everything that it said was heard. */
  ended(reason: string): void;
}

type Question = Unnumbered<Start | Change | Collect | Close | Drain | DrainOlder | End>;
type Unnumbered<Message> = Message extends unknown ? Omit<Message, "id"> : never;

export class WorkerLink {
  readonly #child: WorkerProcess;
  readonly #events: WorkerLinkEvents;
  readonly #asked = new Map<number, (answered: boolean) => void>();
  #nextId = 1;
  #silentLooks = 0;
  /** Why it ends, where more is known than how. */
  #reason: string | null = null;
  #ended = false;

  /** Throws ChildStartError. */
  constructor(start: StartWorker, number: number, events: WorkerLinkEvents) {
    this.#events = events;
    this.#child = start(number, {
      message: (message) => this.#receive(message),
      ended: ({ code, signal }) => {
        this.#ended = true;
        for (const answer of this.#asked.values()) answer(false);
        this.#asked.clear();
        events.ended(this.#reason ?? (signal === null ? `exit code ${code}` : `signal ${signal}`));
      },
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** True once it has answered, false when it ended before. */
  ask(question: Question): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    const id = this.#nextId++;
    this.#child.send({ ...question, id });
    return new Promise((resolve) => this.#asked.set(id, resolve));
  }

  tell(message: UseIdentity | OpenTap): void {
    this.#child.send(message);
  }

  /** Called at every look around: asks for counts, and ends it when nothing was heard for too long. */
  look(): void {
    if (++this.#silentLooks > SILENT_LOOKS_MAX) this.kill("it did not answer any more");
    else void this.ask({ type: "collect" });
  }

  kill(reason: string): void {
    this.#reason ??= reason;
    this.#child.kill();
  }

  #receive(value: unknown): void {
    this.#silentLooks = 0;
    try {
      const message = readFromWorker(value);
      if (message.type === "hello") return this.#events.greeted();
      if (message.type === "failed") {
        // It ends by itself.
        this.#reason = message.reason;
        return;
      }
      if (message.type === "counts") this.#events.counted(message.counts);
      this.#asked.get(message.id)?.(true);
      this.#asked.delete(message.id);
    } catch (error) {
      this.kill(`it said what could not be understood: ${messageOf(error)}`);
    }
  }
}

/** Why a worker could not be started; whatever else is thrown is a bug. */
export function startFailure(error: unknown): string {
  if (error instanceof ChildStartError) return error.message;
  throw error;
}
