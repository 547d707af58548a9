/** Reads the YAML files of a path, one file or a directory tree, as the texts that a configuration is made of. */
import { compareTexts } from "../lib/compare_texts.ts";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, normalize, resolve } from "node:path";
import { messageOf } from "../lib/message_of.ts";
import type { FileWriter } from "./file_writers.ts";

export interface SourceFile {
  /** Relative to the path that was read, with `/`; the file's own name when the path is a file. */
  readonly file: string;
  readonly text: string;
  /** Whether somebody has it open and writes to it. @default nobody knows */
  readonly writer?: FileWriter;
}

export interface ReadFile extends SourceFile {
  /** The file as the user would write it: the path that was read, and the way from there. */
  readonly path: string;
}

/** The largest file that is read, in bytes: one file holds thousands of resources in less. */
export const FILE_BYTES_MAX = 1024 * 1024;

/** The most files in one directory tree. */
const FILES_MAX = 10_000;

/** The deepest directory, counted from the path that was read; also what ends a circle of symbolic links. */
const DIRECTORY_DEPTH_MAX = 32;

/** A file or directory: relative to the path that was read, and as the user would write it. */
type Place = Pick<ReadFile, "file" | "path">;

export interface ReadLimits {
  readonly fileBytesMax: number;
  readonly filesMax: number;
  readonly directoryDepthMax: number;
}

const LIMITS: ReadLimits = {
  fileBytesMax: FILE_BYTES_MAX,
  filesMax: FILES_MAX,
  directoryDepthMax: DIRECTORY_DEPTH_MAX,
};

export type FileReadErrorCode =
  | "not-found"
  | "permission-denied"
  | "not-utf8"
  | "too-large"
  | "too-many"
  | "too-deep"
  | "failed";

/** A file or directory could not be read; nothing of the tree is used then. */
export class FileReadError extends Error {
  override readonly name = "FileReadError";
  readonly code: FileReadErrorCode;
  /** Relative to the path that was read; empty when it is that path itself. */
  readonly file: string;
  /** As the user would write it. */
  readonly path: string;
  /** Why, without the path: `permission denied`. */
  readonly reason: string;

  constructor(code: FileReadErrorCode, at: Place, reason: string, options?: { cause?: unknown }) {
    super(`Could not read ${at.path}: ${reason}`, options);
    this.code = code;
    this.file = at.file;
    this.path = at.path;
    this.reason = reason;
  }
}

/**
 * All `*.yaml` and `*.yml` files at or below `path`, sorted by name, without those whose name or directory begins with
 * a dot. Symbolic links are followed. A path that is a file is read whatever its name. Throws FileReadError.
 */
export async function readSourceFiles(path: string, limits: ReadLimits = LIMITS): Promise<ReadFile[]> {
  const root: Place = { path: normalize(path), file: "" };
  const info = await attempt(root, () => stat(path));
  if (!info.isDirectory()) return [await readSourceFile({ ...root, file: basename(path) }, limits)];
  const places: Place[] = [];
  await collect(root, 0, places, limits);
  const files: ReadFile[] = [];
  for (const place of places.sort((a, b) => compareTexts(a.file, b.file))) {
    files.push(await readSourceFile(place, limits));
  }
  return files;
}

/**
 * The directories whose entries decide what readSourceFiles() reads, as far as they can be read: those at or below
 * `path`, and those to which symbolic links of files lead.
 */
export async function sourceDirectories(path: string): Promise<string[]> {
  const directories = new Set<string>();
  const seen = new Set<string>();
  const visit = async (directory: string, depth: number): Promise<void> => {
    const real = await realpath(directory).catch(() => undefined);
    if (real === undefined || seen.has(real) || depth > DIRECTORY_DEPTH_MAX) return;
    seen.add(real);
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return;
    directories.add(resolve(directory));
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.isFile()) continue;
      const child = join(directory, entry.name);
      const info = await stat(child).catch(() => undefined);
      if (info?.isDirectory() === true) await visit(child, depth + 1);
      else if (info?.isFile() === true) directories.add(dirname(await realpath(child).catch(() => child)));
    }
  };
  await visit(path, 0);
  return [...directories];
}

async function collect(directory: Place, depth: number, found: Place[], limits: ReadLimits): Promise<void> {
  if (depth > limits.directoryDepthMax) {
    throw new FileReadError(
      "too-deep",
      directory,
      `directories are nested more than ${limits.directoryDepthMax} deep, or a symbolic link leads in a circle`,
    );
  }
  for (const name of await attempt(directory, () => readdir(directory.path))) {
    if (name.startsWith(".")) continue;
    const file = directory.file === "" ? name : `${directory.file}/${name}`;
    const child: Place = { file, path: join(directory.path, name) };
    const isYaml = isYamlName(name);
    const info = await attempt(child, () => stat(child.path), isYaml);
    if (info?.isDirectory() === true) await collect(child, depth + 1, found, limits);
    else if (isYaml) found.push(child);
    if (found.length > limits.filesMax) {
      throw new FileReadError("too-many", directory, `there are more than ${limits.filesMax} YAML files`);
    }
  }
}

/** Whether a file of that name in a directory is read. */
export function isYamlName(name: string): boolean {
  return /\.ya?ml$/.test(name) && !name.startsWith(".");
}

async function readSourceFile(place: Place, limits: ReadLimits): Promise<ReadFile> {
  const { path, file } = place;
  const info = await attempt(place, () => stat(path));
  // A pipe or a device has no end to read to.
  if (!info.isFile()) throw new FileReadError("failed", place, "it is not a regular file");
  if (info.size > limits.fileBytesMax) throw tooLarge(place, limits);
  const bytes = await attempt(place, () => readFile(path));
  if (bytes.length > limits.fileBytesMax) throw tooLarge(place, limits);
  try {
    return { file, path, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (cause) {
    throw new FileReadError("not-utf8", place, "it is not UTF-8 text", { cause });
  }
}

function tooLarge(place: Place, limits: ReadLimits): FileReadError {
  return new FileReadError("too-large", place, `it is larger than ${limits.fileBytesMax} bytes`);
}

const REASONS: Readonly<Record<string, readonly [FileReadErrorCode, string]>> = {
  ENOENT: ["not-found", "there is no such file or directory"],
  ENOTDIR: ["not-found", "there is no such file or directory"],
  EACCES: ["permission-denied", "permission denied"],
  EPERM: ["permission-denied", "permission denied"],
  ELOOP: ["too-deep", "a symbolic link leads in a circle"],
};

async function attempt<T>(place: Place, read: () => Promise<T>): Promise<T>;
async function attempt<T>(place: Place, read: () => Promise<T>, required: boolean): Promise<T | undefined>;
async function attempt<T>(place: Place, read: () => Promise<T>, required = true): Promise<T | undefined> {
  try {
    return await read();
  } catch (cause) {
    if (!required) return undefined;
    const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const [code, reason] = REASONS[errno] ??
      ["failed", messageOf(cause)];
    throw new FileReadError(code, place, reason, { cause });
  }
}
