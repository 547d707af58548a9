/**
 * Standard error for a log that must hold nobody up. Whoever reads a pipe or a socket may stop reading, and a write would
 * then wait for him, and every connection of the process with it.
 */
import { fstatSync, writeSync } from "node:fs";
import { libcFunction } from "./libc.ts";

const STDERR = 2;

/** PIPE_BUF: where poll() says that there is room, a pipe takes so many bytes without waiting. */
const PIECE_BYTES = 4096;

/** For a reader who is only a moment behind; who has not come by then is not waited for again. */
const PATIENCE_MS = 20;

// From poll.h.
const POLLOUT = 4;

type Poll = (descriptors: Int32Array, count: number, timeoutMs: number) => number;

/** Writes a line; false: nobody took it, or not all of it, and it is lost. `poll` is poll(2). @default libc's */
export function createLogOutput(poll?: Poll): (line: string) => boolean {
  const hasRoom = roomOf(STDERR, poll);
  /** A part of a line was written last. */
  let torn = false;
  let patienceMs = PATIENCE_MS;
  return (line) => {
    const bytes = new TextEncoder().encode(torn ? `\n${line}` : line);
    let written = 0;
    try {
      while (written < bytes.length && hasRoom(patienceMs)) {
        written += writeSync(STDERR, bytes, written, Math.min(PIECE_BYTES, bytes.length - written));
      }
    } catch {
      // A full disk, which may have room again, or nobody is there any more.
    }
    const whole = written === bytes.length;
    if (written > 0) torn = !whole;
    patienceMs = whole ? PATIENCE_MS : 0;
    return whole;
  };
}

/** Tells whether a write would be taken at once, or within so many milliseconds: of a file, always. */
function roomOf(descriptor: number, given: Poll | undefined): (waitMs: number) => boolean {
  if (!mayWait(descriptor)) return () => true;
  const poll = given ?? libcFunction<Poll>("poll", { args: ["ptr", "u64", "i32"], returns: "i32" });
  if (poll === null) return () => true;
  // struct pollfd, in which the answer has the upper half of the second number.
  const asked = new Int32Array([descriptor, POLLOUT]);
  // Below 0 a signal came first, and nobody knows.
  return (waitMs) => poll(asked, 1, waitMs) > 0;
}

function mayWait(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFIFO() || stats.isSocket();
  } catch {
    // It was closed before the process began.
    return false;
  }
}
