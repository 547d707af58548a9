/** How a command ends: the exit codes that scripts rely on (sysexits.h where it has one), and the error that carries them. */

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 64,
  badInput: 65,
  unavailable: 69,
  /** `analyze` found issues. */
  findings: 79,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with one message for the user, never with a stack trace. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;
  /** What to do about it, where there is something to do. */
  readonly hint: string | undefined;

  constructor(exitCode: ExitCode, message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
