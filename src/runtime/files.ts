/** Small files that a process reads at its start or must never leave half written: tokens, keys, last good state. */
import { appendFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { messageOf } from "../lib/message_of.ts";
import { syncDirectory } from "./sync_directory.ts";

export type FileErrorCode = "not-found" | "permission-denied" | "too-large" | "wrong-kind" | "failed";

/** A file or directory that could not be used; the message says which one, why, and where possible what to do. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: FileErrorCode;
  readonly path: string;

  constructor(code: FileErrorCode, path: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.path = path;
  }

  /** From what the system threw; `action` is what was tried: `read`, `write`. */
  static of(action: string, path: string, cause: unknown): FileError {
    const code = knownCode(cause)?.code ?? "failed";
    return new FileError(code, path, `Cannot ${action} ${path}: ${fileReason(cause)}`, { cause });
  }
}

const READ_BYTES = 64 * 1024;
const READ_BY_ALL = 0o004;

const SYSTEM_CODES: Record<string, { code: FileErrorCode; reason: string } | undefined> = {
  ENOENT: { code: "not-found", reason: "there is no such file or directory" },
  EACCES: { code: "permission-denied", reason: "permission denied" },
  EPERM: { code: "permission-denied", reason: "permission denied" },
  EROFS: { code: "permission-denied", reason: "the file system is read-only" },
  EISDIR: { code: "wrong-kind", reason: "it is a directory" },
  ENOTDIR: { code: "wrong-kind", reason: "a part of the path is not a directory" },
  EEXIST: { code: "wrong-kind", reason: "it is not a directory" },
  ENOSPC: { code: "failed", reason: "no space is left on the device" },
};

function knownCode(cause: unknown) {
  return SYSTEM_CODES[(cause as { code?: string }).code ?? ""];
}

/** Why a file could not be had, in words, from what the system threw. */
export function fileReason(cause: unknown): string {
  return knownCode(cause)?.reason ?? messageOf(cause);
}

/** A UTF-8 file of at most `maxBytes` bytes. Throws FileError. */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      if ((await file.stat()).isDirectory()) throw { code: "EISDIR" };
      return await readAtMost(file, path, maxBytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof FileError ? error : FileError.of("read", path, error);
  }
}

/** As readTextFile(); undefined when there is no such file. */
export async function readTextFileIfPresent(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    return await readTextFile(path, maxBytes);
  } catch (error) {
    if (error instanceof FileError && error.code === "not-found") return undefined;
    throw error;
  }
}

/** What is in a directory, by name, sorted. Throws FileError. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    throw FileError.of("list", directory, error);
  }
}

/**
 * Replaces a file in one step: whoever reads it, and a machine that loses its power, finds the old or the new content.
 * Throws FileError.
 *
 * @param mode Permissions of the new file. @default 0o600
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${crypto.randomUUID()}.tmp`);
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    // The rename itself must survive too.
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw FileError.of("write", path, error);
  }
}

/** Adds a line to a file that is of no great account, such as a child's log; what cannot be written is lost. */
export function appendLine(path: string, line: string): void {
  try {
    appendFileSync(path, `${line}\n`, { mode: 0o600 });
  } catch {
    // A full disk must not stop whoever is being logged.
  }
}

/** Makes a directory and its parents, new ones with mode 0700. Throws FileError. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw FileError.of("create the directory", path, error);
  }
}

/** A new empty directory, mode 0700, that the caller removes when done. Throws FileError. */
export async function makeTemporaryDirectory(prefix: string): Promise<string> {
  const path = join(tmpdir(), `${prefix}-`);
  try {
    return await mkdtemp(path);
  } catch (error) {
    throw FileError.of("create a directory such as", path, error);
  }
}

/** Removes a directory with all that is in it. Throws FileError. */
export async function removeDirectory(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    throw FileError.of("remove", path, error);
  }
}

type FileHandle = Awaited<ReturnType<typeof open>>;

/** Reads in pieces, since what a file says of its size is not to be believed (`/dev/stdin`, `/proc`, growing files). */
async function readAtMost(file: FileHandle, path: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for (let length = 0; length <= maxBytes;) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, maxBytes + 1 - length));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return new TextDecoder().decode(Buffer.concat(chunks));
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  throw new FileError("too-large", path, `Cannot read ${path}: it is longer than ${maxBytes} bytes`);
}

/** Where `path` leads when it is written in the file `file`: relative paths start from its directory. */
export function pathFrom(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** Whether every user of the machine may read the file; what is no regular file, such as a pipe, is not said to be. */
export function isOpenToAll(path: string): boolean {
  try {
    const status = statSync(path);
    return status.isFile() && (status.mode & READ_BY_ALL) !== 0;
  } catch {
    return false;
  }
}
