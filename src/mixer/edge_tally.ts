/** What one end of an edge has counted: since it was first seen, and in a window that slides with time. */
import { addCounts as addBuckets, bucketQuantile, emptyCounts } from "../lib/histogram.ts";
import { DURATION_BUCKETS_MS, type EdgeReport, type ResponseCount } from "../model/report.ts";

/** How far back rates are known. */
export const WINDOW_MS = 60_000;

/** The grain of the window. */
export const WINDOW_SLOT_MS = 5_000;

/** Different status codes that are kept apart; further ones count as the first of their hundred: 418 as 400. */
export const RESPONSE_CODES_MAX = 32;

const SLOTS = WINDOW_MS / WINDOW_SLOT_MS;

/** Numbers that can be added up. */
export interface Counts {
  /** Or TCP connections that began. */
  requests: number;
  errors: number;
  /** Calls by status code. */
  readonly responses: Map<number, number>;
  /** Calls per bucket of DURATION_BUCKETS_MS, and one for those above. */
  readonly durations: Float64Array;
  durationSumMs: number;
  /** From the client, and to it. */
  receivedBytes: number;
  sentBytes: number;
}

export interface WindowCounts extends Counts {
  /** How much time the counts cover: what a rate is divided by. */
  readonly coveredMs: number;
}

export interface Latency {
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

interface Slot {
  /** The slot's start divided by WINDOW_SLOT_MS; tells a slot that is in use from one of the last turn. */
  readonly number: number;
  readonly counts: Counts;
}

export class EdgeTally {
  readonly total: Counts = emptyTally();
  readonly #firstMs: number;
  readonly #slots: (Slot | undefined)[] = new Array(SLOTS);

  /** @param nowMs monotonic, as everywhere in this class */
  constructor(nowMs: number) {
    this.#firstMs = nowMs;
  }

  add(report: EdgeReport, nowMs: number): void {
    const number = Math.floor(nowMs / WINDOW_SLOT_MS);
    let slot = this.#slots[number % SLOTS];
    if (slot?.number !== number) {
      slot = { number, counts: emptyTally() };
      this.#slots[number % SLOTS] = slot;
    }
    addReport(this.total, report);
    addReport(slot.counts, report);
  }

  /** The sum of the last `windowMs`, rounded up to whole slots, at most WINDOW_MS. */
  window(nowMs: number, windowMs: number): WindowCounts {
    const slots = Math.min(SLOTS, Math.max(1, Math.ceil(windowMs / WINDOW_SLOT_MS)));
    const last = Math.floor(nowMs / WINDOW_SLOT_MS);
    const first = last - slots + 1;
    const sum = emptyTally();
    for (const slot of this.#slots) {
      if (slot !== undefined && slot.number >= first && slot.number <= last) addCounts(sum, slot.counts);
    }
    // A call may have been counted up to one report before it came here, so that less than a slot says nothing.
    const sinceMs = Math.max(first * WINDOW_SLOT_MS, this.#firstMs);
    return { ...sum, coveredMs: Math.max(WINDOW_SLOT_MS, nowMs - sinceMs) };
  }
}

/** Interpolated quantiles of the duration, milliseconds. */
export function latencyOf(counts: Counts): Latency {
  const quantile = (share: number) => bucketQuantile(DURATION_BUCKETS_MS, counts.durations, share);
  return { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) };
}

function emptyTally(): Counts {
  return {
    requests: 0,
    errors: 0,
    responses: new Map(),
    durations: emptyCounts(DURATION_BUCKETS_MS),
    durationSumMs: 0,
    receivedBytes: 0,
    sentBytes: 0,
  };
}

function addReport(to: Counts, report: EdgeReport): void {
  const { protocol, opened = 0, receivedBytes = 0, sentBytes = 0 } = report;
  for (const response of report.responses) {
    const { code, count } = response;
    if (count === 0) continue;
    if (!isSuccess(protocol, response)) to.errors += count;
    // A connection has no status, and was counted when it began.
    if (protocol === "tcp") continue;
    to.requests += count;
    addResponses(to.responses, code, count);
  }
  to.requests += opened;
  addSums(to, { ...report, receivedBytes, sentBytes });
}

function addCounts(to: Counts, from: Counts): void {
  to.requests += from.requests;
  to.errors += from.errors;
  for (const [code, count] of from.responses) addResponses(to.responses, code, count);
  addSums(to, from);
}

interface Sums {
  readonly durations: ArrayLike<number>;
  readonly durationSumMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

function addSums(to: Counts, from: Sums): void {
  addBuckets(to.durations, from.durations);
  to.durationSumMs += from.durationSumMs;
  to.receivedBytes += from.receivedBytes;
  to.sentBytes += from.sentBytes;
}

function addResponses(responses: Map<number, number>, code: number, count: number): void {
  const known = responses.has(code) || responses.size < RESPONSE_CODES_MAX;
  const kept = known ? code : code - code % 100;
  responses.set(kept, (responses.get(kept) ?? 0) + count);
}

/** A connection has no status: it went well when nothing was flagged. What gRPC calls OK is 0, and nothing else. */
function isSuccess(protocol: EdgeReport["protocol"], { code, flags, grpcStatus }: ResponseCount): boolean {
  if (protocol === "tcp") return flags === "-" || flags === "";
  if (protocol === "grpc") return grpcStatus === 0;
  return code !== 0 && code < 500;
}
