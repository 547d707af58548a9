/** `bowline demo`: the whole tutorial mesh on this machine, to look at or to send a number of requests through. */
import { systemClock } from "../lib/clock.ts";
import { nearest } from "../lib/edit_distance.ts";
import {
  makePrivateDirectory,
  makeTemporaryDirectory,
  removeDirectory,
  writeFileAtomic,
} from "../runtime/files.ts";
import { exitProcess } from "../runtime/process.ts";
import { onHangup, onTerminate } from "../runtime/signals.ts";
import { type Chapter, chapterNamed, CHAPTERS, DEFAULT_CHAPTER } from "./demo/chapters.ts";
import { greeting } from "./demo/greeting.ts";
import { DemoError, DemoMesh } from "./demo/mesh.ts";
import { type LoadResult, sendLoad } from "./demo/load.ts";
import { DEMO_WORKLOADS, entryUrl } from "./demo/topology.ts";
import { CHAPTER_FILES, type Files, MESH_FILES } from "./demo/tutorial_files.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { formatTable, type OutputFormat, printable, printData, printMessage } from "./output.ts";

/** Proxies report every second; what they counted is in the graph a little later. */
const GRAPH_WAIT_MS = 5_000;
const GRAPH_LOOK_MS = 100;

export interface DemoOptions {
  /** Name of the tutorial's chapter; undefined: the first to be shown. */
  readonly chapter?: string;
  /** Send this many, print what came of them, and end; undefined: run until Ctrl-C. */
  readonly requests?: number;
  /** `name: value`. */
  readonly headers: readonly string[];
  /** Directory of resources; undefined: the tutorial's. */
  readonly config?: string;
  readonly output: OutputFormat;
}

/** What `--requests` prints. */
export interface DemoResult extends LoadResult {
  /** Every call between workloads was mutual TLS, as the proxies saw it. */
  readonly mtls: boolean;
}

/** What a part that could not listen has most likely met. */
const PORT_TAKEN_HINT =
  "does another demo run? one that was killed leaves its processes; each needs 127.0.0.9 to 127.0.0.22 for itself";

export async function runDemo(options: DemoOptions): Promise<ExitCode> {
  const headers = options.headers.map(parseHeader);
  const chapter = chosenChapter(options);
  const directory = await makeTemporaryDirectory("bowline-demo");
  let mesh: DemoMesh | null = null;
  let interrupt: () => void = () => {};
  const interrupted = new Promise<"interrupted">((resolve) => interrupt = () => resolve("interrupted"));
  // Whoever forces the end must not leave the parts of the demo behind.
  const force = (exitCode: number) => {
    void (mesh?.kill() ?? Promise.resolve()).then(() => removeDirectory(directory)).finally(() =>
      exitProcess(exitCode)
    );
  };
  const release = onTerminate(() => interrupt(), force);
  // A terminal that is closed ends it, too: its parts have no terminal, and would run on.
  const releaseHangup = onHangup(() => interrupt());
  try {
    // There is no chapter where there is a configuration of the user's own.
    const config = chapter === null ? options.config as string : await writeTutorial(directory, chapter);
    const tell = (news: string) => printMessage(printable(news));
    mesh = new DemoMesh({ config, directory, clock: systemClock, tell });
    const startedMs = systemClock.monotonic();
    if (await Promise.race([mesh.start(), mesh.failed, interrupted]) === "interrupted") return EXIT.ok;
    const seconds = ((systemClock.monotonic() - startedMs) / 1000).toFixed(1);
    if (options.requests === undefined) {
      printMessage(greeting({ seconds, config, directory, chapter, data: mesh.controlPlaneData }));
      await Promise.race([interrupted, mesh.failed]);
      return EXIT.ok;
    }
    const work = measure(mesh, options.requests, headers);
    const result = await Promise.race([work, mesh.failed, interrupted]);
    if (result === "interrupted") return EXIT.error;
    await printData(options.output, result, () => resultTable(result));
    return result.errors === 0 ? EXIT.ok : EXIT.error;
  } catch (error) {
    if (error instanceof DemoError) {
      const exitCode = error.exitCode === EXIT.badInput ? EXIT.badInput : EXIT.unavailable;
      const hint = error.exitCode === EXIT.unavailable ? PORT_TAKEN_HINT : undefined;
      throw new CommandError(exitCode, error.message, hint, { cause: error });
    }
    throw error;
  } finally {
    await mesh?.stop();
    await removeDirectory(directory);
    release();
    releaseHangup();
  }
}

/** Null for a configuration of the user's own. Throws CommandError. */
function chosenChapter({ chapter: name, config }: DemoOptions): Chapter | null {
  if (name === undefined && config !== undefined) return null;
  if (config !== undefined) {
    throw new CommandError(EXIT.usage, "A chapter of the tutorial and --config exclude each other");
  }
  const chapter = chapterNamed(name ?? DEFAULT_CHAPTER);
  if (chapter !== undefined) return chapter;
  const names = CHAPTERS.map((one) => one.name);
  const meant = nearest(name as string, names);
  throw new CommandError(
    EXIT.usage,
    `The tutorial has no chapter ${JSON.stringify(name)}`,
    meant === undefined ? `there are ${names.join(", ")}` : `did you mean ${meant}?`,
  );
}

/**
 * The chapter's configuration, as the directory that the mesh will serve; and the rules of all chapters beside it, to
 * be copied there. Returns the former.
 */
async function writeTutorial(directory: string, chapter: Chapter): Promise<string> {
  for (const [name, files] of Object.entries(CHAPTER_FILES)) {
    await writeFiles(`${directory}/tutorial/${name}`, files);
  }
  const config = `${directory}/config`;
  await writeFiles(config, { ...MESH_FILES, ...CHAPTER_FILES[chapter.name] });
  return config;
}

async function writeFiles(directory: string, files: Files): Promise<void> {
  await makePrivateDirectory(directory);
  for (const [name, text] of Object.entries(files)) {
    await writeFileAtomic(`${directory}/${name}`, text, 0o644);
  }
}

async function measure(
  mesh: DemoMesh,
  requests: number,
  headers: readonly (readonly [string, string])[],
): Promise<DemoResult> {
  const destinations = DEMO_WORKLOADS.filter(({ next }) => next === null).map(({ name }) => name);
  const load = await sendLoad({ url: entryUrl(), requests, headers, destinations });
  return { ...load, mtls: await isAllMutualTls(mesh, load.ok) };
}

/** Waits until the proxies have reported the calls, and looks at each edge that they went along. */
async function isAllMutualTls(mesh: DemoMesh, ok: number): Promise<boolean> {
  const deadlineMs = systemClock.monotonic() + GRAPH_WAIT_MS;
  for (;;) {
    const { edges } = await mesh.graph();
    const arrived = edges
      .filter(({ destination }) =>
        DEMO_WORKLOADS.some(({ name, next }) => next === null && destination.endsWith(`/${name}`))
      )
      .reduce((sum, { requests }) => sum + requests, 0);
    // What a rule or the caller's sidecar answered in a workload's stead went to nobody.
    const calls = edges.filter(({ destination }) => destination !== "unknown");
    if (arrived >= ok) return calls.length > 0 && calls.every(({ mtls }) => mtls);
    if (systemClock.monotonic() > deadlineMs) return false;
    await new Promise<void>((resolve) => systemClock.after(GRAPH_LOOK_MS, resolve));
  }
}

function resultTable({ requests, ok, errors, byDestination, mtls }: DemoResult): string {
  const rows = Object.entries(byDestination).map(([name, count]) => [name, String(count), share(count, ok)]);
  const table = formatTable([{ title: "DESTINATION" }, { title: "REQUESTS" }, { title: "SHARE" }], rows);
  return `${table}\n\n${requests} requests, ${ok} ok, ${errors} errors; ${
    mtls ? "all over mTLS" : "not all over mTLS"
  }`;
}

function share(count: number, all: number): string {
  return all === 0 ? "-" : `${(count / all * 100).toFixed(1)} %`;
}

function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim();
  const value = text.slice(colon + 1).trim();
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value)) {
    throw new CommandError(
      EXIT.usage,
      `${JSON.stringify(text)} is not a header`,
      "write it as 'name: value'",
    );
  }
  return [name, value];
}
