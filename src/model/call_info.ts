/** What metrics and the graph say about a call: who calls whom, and which service was meant. */
import type { WorkloadKey } from "./workload.ts";

/** One end of a call. */
export interface WorkloadInfo {
  readonly key: WorkloadKey;
  readonly namespace: string;
  readonly name: string;
  /** SPIFFE ID, or empty for a workload outside the mesh. */
  readonly principal: string;
  readonly app: string;
  readonly version: string;
}

/** The service that was called. */
export interface ServiceInfo {
  /** Fully qualified, lower case: `recommendation.tutorial.svc.cluster.local`. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}
