/** What is wrong with a configuration, said to the person who wrote it. */

/** Least severe first. */
export const SEVERITIES = ["info", "warning", "error"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  /** Istio's code (`IST0101`) where the meaning is equal, else one of ours (`BOW0001`); never reused. */
  readonly code: string;
  readonly severity: Severity;
  /** As the user named it: relative to the directory that was loaded. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `KIND NAMESPACE/NAME` of the resource, where one could be read. */
  readonly resource: string | null;
  /** Path of the field, `spec.http[0].route[1].weight`; null for the document as a whole. */
  readonly field: string | null;
  /** What is wrong and why, one sentence without a full stop. */
  readonly message: string;
  /** What to do: `did you mean "subset"?`; null where nothing better than the message can be said. */
  readonly hint: string | null;
}
