/**
 * What of an edit suggests that the rest of it is yet to come: people and tools change one file after the other, remove
 * a file and write it anew, and write a file bit by bit. Whatever they do then fails no request.
 */
import { formatFinding } from "../config/format_finding.ts";
import { newlyMissing } from "../config/analysis/newly_missing.ts";
import { vanished } from "../config/analysis/vanished.ts";
import type { ResourceSet } from "../config/resource.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import { looksUnfinished } from "./unfinished_file.ts";

/**
 * The longest that an edit waits for what it is open for: the subset or host that its rules lead to and that is not
 * there, or the end of the rule; what it takes away; the rest of a file.
 */
export const OTHER_HALF_WAIT_MS = 5_000;

/** The longest that an edit waits for a file that somebody has open and writes to. */
export const WRITER_WAIT_MS = 15_000;

/** Once no file has changed for so long, nothing more is to come of what nobody calls. */
export const QUIET_MS = 1_000;

/** Kinds whose hosts are called. */
const CALLED: ReadonlySet<string> = new Set(["Service", "ServiceEntry"]);

export interface OpenEnd {
  /** Equal in a later edit that is open for the same thing. */
  readonly key: string;
  /** It is waited for until the files have been left alone for so long; null: they may be left alone. */
  readonly quietMs: number | null;
  /** @default OTHER_HALF_WAIT_MS */
  readonly waitMaxMs?: number;
  /** For the log. */
  readonly says: string;
}

/** The whole of the files at one time. */
export interface ConfigState {
  readonly resources: ResourceSet;
  readonly files: readonly SourceFile[];
}

/** `next` without resources is an edit that is not valid: then only files that are being written say that more comes. */
export function openEnds(
  next: Omit<ConfigState, "resources"> & { readonly resources: ResourceSet | null },
  served: ConfigState,
): readonly OpenEnd[] {
  const texts = new Map(served.files.map(({ file, text }) => [file, text]));
  const changed = next.files.filter(({ file, text }) => texts.get(file) !== text);
  const written = changed.filter(({ writer }) => writer === "writing").map(({ file }): OpenEnd => ({
    key: `${file} is being written`,
    quietMs: null,
    waitMaxMs: WRITER_WAIT_MS,
    says: `${file} is being written`,
  }));
  if (next.resources === null) return written;
  const missing = newlyMissing(next.resources, served.resources).map((finding): OpenEnd => ({
    key: `${finding.resource}: ${finding.message}`,
    quietMs: null,
    says: formatFinding(finding),
  }));
  const gone = vanished(next.resources, served.resources).map(({ kind, namespace, name }): OpenEnd => {
    const key = `${kind} ${namespace}/${name}`;
    return { key, quietMs: CALLED.has(kind) ? null : QUIET_MS, says: `${key} is gone` };
  });
  const unfinished = changed.filter(({ file, text, writer }) =>
    writer !== "writing" && looksUnfinished(text, texts.get(file), writer === "done")
  ).map(({ file }): OpenEnd => ({
    key: file,
    quietMs: QUIET_MS,
    says: `${file} looks as if it was being written`,
  }));
  return [...missing, ...gone, ...written, ...unfinished];
}
