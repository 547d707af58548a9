/** The kinds of calls that a workload was sent, for policies that are written from them or tried on them. */

/** Kinds of calls to one workload that are told apart; further ones are only counted. */
export const RECORDED_CALLS_MAX = 2_000;

/** Characters of a method, an authority or a path that is recorded; a call with a longer one is only counted. */
export const RECORDED_TEXT_LENGTH_MAX = 512;

/** Calls that are alike to a policy, as far as they were recorded: of headers and tokens nothing is kept. */
export interface CallShape {
  /** SPIFFE ID that the caller proved, without `spiffe://`; empty where it proved nothing. */
  readonly principal: string;
  /** `NAMESPACE/NAME` as the caller calls itself; `unknown` where it proved nothing. */
  readonly caller: string;
  /** The workload's own. */
  readonly port: number;
  readonly protocol: "http" | "tcp";
  /** Empty for bytes, as are the next two. */
  readonly method: string;
  /** Lower case, with the port if the request named one. */
  readonly authority: string;
  /** In its one form, without query. */
  readonly path: string;
}

export interface RecordedCall extends CallShape {
  /** The other end of the connection that brought the last one. */
  readonly address: string;
  /** How often policies let it through. */
  readonly allowed: number;
  /** How often one of them did not, or somebody whom one of them has asked. */
  readonly refused: number;
}

/** Differences since the last report. */
export interface CallReport {
  readonly calls: readonly RecordedCall[];
  /** Calls for which there was no room. */
  readonly omitted: number;
}

/** None of them has blanks. */
export function callKey({ principal, caller, port, protocol, method, authority, path }: CallShape): string {
  return `${principal} ${caller} ${port} ${protocol} ${method} ${authority} ${path}`;
}
