/** Signals of the operating system, as systemd and people at a terminal send them. */
import { exitProcess } from "./process.ts";

/** What a shell sees of a process that a signal ended: 128 and the signal's number. */
const EXIT_CODE = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * A Ctrl-C goes to every process of the terminal's group, and a task runner in it passes it on: what follows this soon
 * is the same one once more, and nobody's wish to force anything.
 */
export const SAME_SIGNAL_MS = 500;

export type TerminateSignal = keyof typeof EXIT_CODE;

/**
 * Calls back at the first SIGTERM or Ctrl-C, so that the process can drain; the second one ends it at once.
 * The returned function gives the signals back to the system.
 *
 * @param force For tests: what the second signal does.
 */
export function onTerminate(
  callback: (signal: TerminateSignal) => void,
  force: (exitCode: number) => void = exitProcess,
): () => void {
  let askedAtMs: number | null = null;
  const listen = (signal: TerminateSignal) => {
    if (askedAtMs === null) {
      askedAtMs = performance.now();
      callback(signal);
    } else if (performance.now() - askedAtMs > SAME_SIGNAL_MS) {
      force(EXIT_CODE[signal]);
    }
  };
  process.on("SIGTERM", listen);
  process.on("SIGINT", listen);
  return () => {
    process.off("SIGTERM", listen);
    process.off("SIGINT", listen);
  };
}

/**
 * Calls back at each SIGHUP, which asks a service to read its files again, and tells a program that its terminal was
 * closed. Without it a SIGHUP ends the process. The returned function stops that.
 */
export function onHangup(callback: () => void): () => void {
  // The listener gets the signal's name, which is none of the callback's business.
  const listen = () => callback();
  process.on("SIGHUP", listen);
  return () => {
    process.off("SIGHUP", listen);
  };
}

/** Makes SIGTERM, Ctrl-C and SIGHUP mean nothing: for a process whose parent says when to end. */
export function ignoreSignals(): void {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => {});
}
