/** Runs a program to its end, for its exit code: in a process group of its own, of which nothing is left when time is up. */

/** What is kept of the output, both streams together; the rest is read and thrown away. */
export const COMMAND_OUTPUT_BYTES_MAX = 1024;

export interface CommandOptions {
  /** Program and arguments, as they are: no shell reads them. */
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  /** Ends it before its time. */
  readonly signal: AbortSignal;
}

export interface CommandResult {
  /** Null when it could not be started, or was ended. */
  readonly code: number | null;
  /** Why there is no code, as a clause; null otherwise. */
  readonly trouble: string | null;
  /** The beginning of what it printed. */
  readonly output: string;
}

/**
 * The program sees nothing of this process but PATH: what else is in the environment may be secret, and its working
 * directory is the root. Never rejects.
 */
export async function runCommand({ argv, timeoutMs, signal }: CommandOptions): Promise<CommandResult> {
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    child = Bun.spawn([...argv], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      cwd: "/",
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
  } catch (error) {
    return { code: null, trouble: `it cannot be started: ${(error as Error).message}`, output: "" };
  }
  let trouble: string | null = null;
  const kill = (why: string) => {
    // Once the leader has ended, its number may belong to another.
    if (child.exitCode !== null || child.signalCode !== null) return;
    trouble = why;
    process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(() => kill(`it did not end within ${timeoutMs} ms`), timeoutMs);
  const onAbort = () => kill("it was ended early");
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  const output = new Output();
  const streams = [child.stdout, child.stderr].map((stream) => output.collect(stream));
  await child.exited;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  // Somebody whom it left behind may still hold the pipes: they are not waited for.
  await Promise.all(streams.map((stream) => stream.stop()));
  if (child.signalCode !== null) trouble ??= `it was ended by ${child.signalCode}`;
  return { code: trouble === null ? child.exitCode : null, trouble, output: output.text() };
}

class Output {
  readonly #kept = new Uint8Array(COMMAND_OUTPUT_BYTES_MAX);
  #length = 0;

  /** Reads until the end or until told to stop. */
  collect(stream: ReadableStream<Uint8Array>): { stop(): Promise<void> } {
    const reader = stream.getReader();
    const done = this.#read(reader);
    return {
      // What was written before the end is there at once; the pipe may stay open for ever.
      stop: () => Promise.race([done, afterWhatIsThere()]).then(() => reader.cancel().catch(() => {})),
    };
  }

  text(): string {
    return new TextDecoder().decode(this.#kept.subarray(0, this.#length)).trim();
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const piece = value.subarray(0, COMMAND_OUTPUT_BYTES_MAX - this.#length);
      this.#kept.set(piece, this.#length);
      this.#length += piece.length;
    }
  }
}

/** How long output that was written is waited for. */
const OUTPUT_GRACE_MS = 50;

function afterWhatIsThere(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, OUTPUT_GRACE_MS));
}
