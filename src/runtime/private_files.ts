/**
 * Files that hold secrets or must survive a crash: mode 0600 in directories of mode 0700, each change either wholly on
 * the disk when the call returns, or not made at all, whenever the process or the machine dies.
 */
import { constants } from "node:fs";
import { chmod, type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileReason } from "./files.ts";
import { syncDirectory } from "./sync_directory.ts";

/** Passed to whatever keeps state. Paths are the system's own; every method throws PrivateFileError. */
export interface PrivateFiles {
  /** Makes the directory and its missing parents; one that is there must be closed to everybody but its owner. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted, without the leftovers of interrupted writes; empty when it is not there. */
  list(directory: string): Promise<string[]>;
  /** The whole file; undefined when it is not there, an error when it is longer, or open to others. */
  read(path: string, bytesMax: number): Promise<Uint8Array | undefined>;
  /** Writes a file that must not be there yet: false, and nothing changed, when it is. */
  create(path: string, content: Uint8Array): Promise<boolean>;
  /** Puts new content, whole, in the place of the old. */
  replace(path: string, content: Uint8Array): Promise<void>;
  /** Adds to the end; makes the file when it is not there. A crash can leave a part of the addition. */
  append(path: string, content: Uint8Array): Promise<void>;
  /** Renames within one file system: false when `from` is not there. Of many at once exactly one gets true. */
  move(from: string, to: string): Promise<boolean>;
  /** Removes these names from a directory, as far as they are there: many at the price of one. */
  remove(directory: string, names: readonly string[]): Promise<void>;
}

export type PrivateFileErrorCode = "exposed" | "too_large" | "not_regular" | "failed";

export class PrivateFileError extends Error {
  override readonly name = "PrivateFileError";

  constructor(
    readonly code: PrivateFileErrorCode,
    readonly path: string,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OTHERS = 0o077;

/** Ends the names of files that are still being written; they start with a dot. */
const UNFINISHED = ".unfinished";

/** An unfinished file that is older was left by a process that died; it may hold a key that was never used. */
const UNFINISHED_AGE_MAX_MS = 60 * 60 * 1000;

export const privateFiles: PrivateFiles = {
  makeDirectory,
  list,
  read,
  create,
  replace,
  append,
  move,
  remove,
};

async function makeDirectory(path: string): Promise<void> {
  await attempt("make the directory", path, async () => {
    const first = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
    if (first === undefined) return;
    // A new directory is only there after a crash when its parent's entry is on the disk.
    for (let made = path; made !== dirname(made); made = dirname(made)) {
      await syncDirectory(dirname(made));
      if (made === first) break;
    }
  });
  const { mode } = await attempt("look at the directory", path, () => stat(path));
  if ((mode & OTHERS) !== 0) throw exposed("directory", path, mode, "700");
  await attempt("clean up the directory", path, () => removeUnfinished(path));
}

async function list(directory: string): Promise<string[]> {
  const names = await attempt("list the directory", directory, () => readdir(directory).catch(missing([])));
  return names.filter((name) => !name.endsWith(UNFINISHED)).sort();
}

async function read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  return await attempt("read", path, async () => {
    // Not to be stopped by a pipe that somebody put there.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(missing(undefined));
    if (file === undefined) return undefined;
    try {
      const { mode, size } = await checkFile(file, path);
      if ((mode & OTHERS) !== 0) throw exposed("file", path, mode, "600");
      if (size > bytesMax) {
        throw new PrivateFileError("too_large", path, `${path} has ${size} bytes, more than ${bytesMax}`);
      }
      return new Uint8Array(await file.readFile());
    } finally {
      await file.close();
    }
  });
}

async function create(path: string, content: Uint8Array): Promise<boolean> {
  return await attempt("write", path, async () => {
    const unfinished = await writeUnfinished(path, content);
    try {
      // A link appears whole or not at all, and unlike a rename never takes another file's place.
      await link(unfinished, path);
    } catch (error) {
      if (systemCode(error) === "EEXIST") return false;
      throw error;
    } finally {
      await unlink(unfinished).catch(() => {});
    }
    await syncDirectory(dirname(path));
    return true;
  });
}

async function replace(path: string, content: Uint8Array): Promise<void> {
  await attempt("write", path, async () => {
    const unfinished = await writeUnfinished(path, content);
    try {
      await rename(unfinished, path);
    } catch (error) {
      await unlink(unfinished).catch(() => {});
      throw error;
    }
    await syncDirectory(dirname(path));
  });
}

async function append(path: string, content: Uint8Array): Promise<void> {
  await attempt("write", path, async () => {
    const isNew = await stat(path).then(() => false, missing(true));
    const file = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, FILE_MODE);
    try {
      const { mode, size } = await checkFile(file, path);
      if ((mode & OTHERS) !== 0) throw exposed("file", path, mode, "600");
      try {
        await file.writeFile(content);
        await file.sync();
      } catch (error) {
        // A full disk takes a part; the part must not become the beginning of the next addition.
        await file.truncate(size).catch(() => {});
        throw error;
      }
    } finally {
      await file.close();
    }
    if (isNew) await syncDirectory(dirname(path));
  });
}

async function move(from: string, to: string): Promise<boolean> {
  return await attempt("rename", from, async () => {
    const moved = await rename(from, to).then(() => true, missing(false));
    if (!moved) return false;
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    return true;
  });
}

async function remove(directory: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await attempt("remove files from", directory, async () => {
    for (const name of names) await unlink(join(directory, name)).catch(missing(undefined));
    await syncDirectory(directory);
  });
}

/** Writes all of the content beside its final place, onto the disk, and returns where. */
async function writeUnfinished(path: string, content: Uint8Array): Promise<string> {
  const unfinished = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}${UNFINISHED}`);
  const file = await open(unfinished, "wx", FILE_MODE);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await unlink(unfinished).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  // The umask may have taken bits of the owner's.
  await chmod(unfinished, FILE_MODE);
  return unfinished;
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(".") || !name.endsWith(UNFINISHED)) continue;
    const path = join(directory, name);
    const status = await stat(path).catch(missing(undefined));
    if (status !== undefined && Date.now() - status.mtimeMs > UNFINISHED_AGE_MAX_MS) {
      await unlink(path).catch(missing(undefined));
    }
  }
}

async function checkFile(file: FileHandle, path: string): Promise<{ mode: number; size: number }> {
  const status = await file.stat();
  if (!status.isFile()) throw new PrivateFileError("not_regular", path, `${path} is not a regular file`);
  return status;
}

function exposed(what: string, path: string, mode: number, wanted: string): PrivateFileError {
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  return new PrivateFileError(
    "exposed",
    path,
    `The ${what} ${path} has mode ${octal}, so others than its owner can get at it; run: chmod ${wanted} ${path}`,
  );
}

async function attempt<Result>(doing: string, path: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof PrivateFileError) throw cause;
    throw new PrivateFileError("failed", path, `Could not ${doing} ${path}: ${fileReason(cause)}`, { cause });
  }
}

/** Turns "no such file" into a value, and throws anything else on. */
function missing<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (systemCode(error) === "ENOENT") return value;
    throw error;
  };
}

function systemCode(error: unknown): string | undefined {
  return (error as { code?: string } | null)?.code;
}
