/** Speaks to the running control plane through the `admin.sock` in its data directory. */
import { BoundedBytes } from "../lib/bounded_bytes.ts";
import { LineReader } from "../lib/line_reader.ts";
import { ADMIN_SOCKET } from "../model/admin.ts";
import type { ErrorReply } from "../model/enrolment.ts";
import { chooseDataDirectory } from "../runtime/data_directory.ts";
import { fetchUnix } from "../runtime/unix_fetch.ts";
import { CommandError, EXIT } from "./exit_codes.ts";
import { printable } from "./output.ts";

/** A process that is alive answers at once; this one hangs. */
const ADMIN_TIMEOUT_MS = 10_000;

/** Bytes of an answer; the graph of a mesh of thousands of workloads is a few megabytes. */
const ADMIN_REPLY_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of one line of an answer that goes on. */
const ADMIN_LINE_BYTES_MAX = 64 * 1024;

/** The limits, to be other ones in tests. */
export interface AdminLimits {
  readonly timeoutMs: number;
  readonly replyBytesMax: number;
}

const LIMITS: AdminLimits = { timeoutMs: ADMIN_TIMEOUT_MS, replyBytesMax: ADMIN_REPLY_BYTES_MAX };

/** HTTP statuses whose cause is what the user asked for. */
const BAD_INPUT: ReadonlySet<number> = new Set([400, 409, 413, 422]);

export class AdminClient {
  readonly #directory: string;
  readonly #limits: AdminLimits;

  /** `data` is the control plane's data directory; undefined: the default one. */
  constructor(data: string | undefined, limits: AdminLimits = LIMITS) {
    this.#directory = data ?? chooseDataDirectory();
    this.#limits = limits;
  }

  /** The JSON that a path answers. Throws CommandError. */
  get(path: string): Promise<unknown> {
    return this.#call(path, {});
  }

  /** As get(), with a JSON body. */
  post(path: string, body: unknown): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    return this.#call(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** The lines of an answer that goes on until the process ends, or whoever reads them stops. Throws CommandError. */
  async *lines(path: string): AsyncGenerator<string> {
    const lines = new LineReader(ADMIN_LINE_BYTES_MAX);
    let response: Response;
    try {
      // Bun would break off an answer on which nothing comes for six minutes.
      response = await fetchUnix(this.#socket, path, { redirect: "error", timeout: false });
    } catch (error) {
      throw this.#unreachable(error);
    }
    if (response.status !== 200) throw this.#refused(response.status, parseJson(await this.#read(response)));
    try {
      for await (const chunk of response.body ?? []) {
        yield* lines.push(chunk);
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #call(path: string, init: RequestInit): Promise<unknown> {
    const { timeoutMs } = this.#limits;
    let status: number;
    let text: string;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetchUnix(this.#socket, path, { ...init, redirect: "error", signal });
      status = response.status;
      text = await this.#read(response);
    } catch (error) {
      throw error instanceof CommandError ? error : this.#unreachable(error);
    }
    const reply = parseJson(text);
    if (status === 200 && reply !== undefined) return reply;
    throw this.#refused(status, reply);
  }

  get #socket(): string {
    return `${this.#directory}/${ADMIN_SOCKET}`;
  }

  async #read(response: Response): Promise<string> {
    const { replyBytesMax } = this.#limits;
    const body = new BoundedBytes(replyBytesMax);
    for await (const chunk of response.body ?? []) {
      if (!body.add(chunk)) {
        throw new CommandError(
          EXIT.error,
          `The answer of the control plane is longer than ${replyBytesMax} bytes`,
        );
      }
    }
    return body.text();
  }

  #unreachable(cause: unknown): CommandError {
    const socket = this.#socket;
    const { code, name, message } = cause as { code?: unknown; name?: string; message?: string };
    const fail = (text: string, hint: string) => new CommandError(EXIT.unavailable, text, hint, { cause });
    const running = `is the control plane running with --data ${this.#directory}?`;
    if (code === "ENOENT" || code === "ENOTDIR") return fail(`There is no ${socket}`, running);
    if (code === "ECONNREFUSED") {
      return fail(`No process answers at ${socket}`, `it was left behind; ${running}`);
    }
    if (code === "EACCES" || code === "EPERM") {
      const hint = "only the user that the control plane runs as, and root, may speak to it";
      return new CommandError(EXIT.error, `Permission denied for ${socket}`, hint, { cause });
    }
    if (code === "ENAMETOOLONG") {
      return fail(`The path of ${socket} is too long for a socket`, "choose a shorter --data directory");
    }
    if (name === "TimeoutError") {
      const seconds = this.#limits.timeoutMs / 1000;
      return fail(`The process at ${socket} did not answer within ${seconds} s`, "its log may say why");
    }
    return fail(`Cannot speak to ${socket}: ${message ?? String(cause)}`, running);
  }

  #refused(status: number, reply: unknown): CommandError {
    if (status === 404) {
      return new CommandError(
        EXIT.error,
        `The process at ${this.#socket} does not know how to answer this`,
        "is it a sidecar's data directory, or a control plane of another version?",
      );
    }
    const message = (reply as Partial<ErrorReply> | undefined)?.error?.message;
    const said = typeof message === "string" ? printable(message) : `it answered ${status} without a reason`;
    if (BAD_INPUT.has(status)) return new CommandError(EXIT.badInput, `The control plane refused: ${said}`);
    return new CommandError(EXIT.error, `The control plane failed: ${said}`, "its log says more");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
