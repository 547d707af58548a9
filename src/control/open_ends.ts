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

/** Once no file has changed for so long, nothing more is to come of what nobody calls. */
export const QUIET_MS = 1_000;

/** Their hosts are called. */
const CALLED: ReadonlySet<string> = new Set(["Service", "ServiceEntry"]);

export interface OpenEnd {
  /** The same for what is the same in a later edit. */
  readonly key: string;
  /** It is waited for until the files have been left alone for so long; null: they may be left alone. */
  readonly quietMs: number | null;
  /** For the log. */
  readonly says: string;
}

/** The whole of the files at one time. */
export interface ConfigState {
  readonly resources: ResourceSet;
  readonly files: readonly SourceFile[];
}

export function openEnds(next: ConfigState, served: ConfigState): readonly OpenEnd[] {
  const missing = newlyMissing(next.resources, served.resources).map((finding): OpenEnd => ({
    key: `${finding.resource}: ${finding.message}`,
    quietMs: null,
    says: formatFinding(finding),
  }));
  const gone = vanished(next.resources, served.resources).map(({ kind, namespace, name }): OpenEnd => {
    const key = `${kind} ${namespace}/${name}`;
    return { key, quietMs: CALLED.has(kind) ? null : QUIET_MS, says: `${key} is gone` };
  });
  const texts = new Map(served.files.map(({ file, text }) => [file, text]));
  const unfinished = next.files.filter(({ file, text }) => {
    const before = texts.get(file);
    return before !== text && looksUnfinished(text, before);
  }).map(({ file }): OpenEnd => ({
    key: file,
    quietMs: QUIET_MS,
    says: `${file} looks as if it was being written`,
  }));
  return [...missing, ...gone, ...unfinished];
}
