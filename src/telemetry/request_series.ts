/** The requests of an edge that ended alike: how many, how long they took, how much they carried. */
import { Histogram } from "../lib/histogram.ts";
import {
  DURATION_BUCKETS_MS,
  type RequestDetail,
  type ResponseCount,
  SIZE_BUCKETS_BYTES,
} from "../model/report.ts";
import { NOT_GRPC } from "./grpc_status.ts";

export interface RequestCount extends ResponseCount {
  readonly detail: RequestDetail;
}

export class RequestSeries {
  count = 0;
  /** Milliseconds. */
  readonly durations = new Histogram(DURATION_BUCKETS_MS);
  /** Bytes of bodies. */
  readonly requestBytes = new Histogram(SIZE_BUCKETS_BYTES);
  readonly responseBytes = new Histogram(SIZE_BUCKETS_BYTES);
  #reported = 0;

  /** `grpcStatus`: 0 to GRPC_STATUS_MAX, GRPC_STATUS_NONE or NOT_GRPC. */
  constructor(readonly code: number, readonly flags: string, readonly grpcStatus: number) {}

  get protocol(): "http" | "grpc" {
    return this.grpcStatus === NOT_GRPC ? "http" : "grpc";
  }

  record(durationMs: number, requestBytes: number, responseBytes: number): void {
    this.count++;
    this.durations.record(durationMs);
    this.requestBytes.record(requestBytes);
    this.responseBytes.record(responseBytes);
  }

  /** What came since the last call; null when nothing did. */
  take(): RequestCount | null {
    const count = this.count - this.#reported;
    if (count === 0) return null;
    this.#reported = this.count;
    const { code, flags, grpcStatus } = this;
    const detail = {
      durations: this.durations.take(),
      requestBytes: this.requestBytes.take(),
      responseBytes: this.responseBytes.take(),
    };
    return { code, flags, ...(grpcStatus < 0 ? {} : { grpcStatus }), count, detail };
  }

  /** Adds what the same series of another process told. */
  absorb(count: number, detail: RequestDetail): void {
    this.count += count;
    this.durations.add(detail.durations);
    this.requestBytes.add(detail.requestBytes);
    this.responseBytes.add(detail.responseBytes);
  }
}
