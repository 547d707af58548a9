/** How a sidecar finds out whether its workload is well (WorkloadGroup `probe`), and the words for what it found. */

export interface HealthProbe {
  readonly method: ProbeMethod;
  /** From the start of the sidecar to the first question. */
  readonly initialDelayMs: number;
  /** From one question to the next. */
  readonly periodMs: number;
  /** For one answer. */
  readonly timeoutMs: number;
  /** Good answers in a row that make an unhealthy workload healthy, 1 or more. */
  readonly successThreshold: number;
  /** Bad ones that make a healthy workload unhealthy, 1 or more. */
  readonly failureThreshold: number;
}

/** `host` is a name or an address to connect to; null: the workload itself. */
export type ProbeMethod =
  | {
    /** Statuses from 200 to 399 are good. */
    readonly type: "http";
    readonly host: string | null;
    readonly port: number;
    /** With its query, from the slash. */
    readonly path: string;
    /** Over TLS whoever answers is believed, as in Kubernetes. */
    readonly tls: boolean;
    /** Name, value; `host` replaces the authority. */
    readonly headers: readonly (readonly [name: string, value: string])[];
  }
  /** A connection that comes about is good. */
  | { readonly type: "tcp"; readonly host: string | null; readonly port: number }
  /** An exit code of 0 is good. The program and its arguments; no shell reads them. */
  | { readonly type: "exec"; readonly command: readonly string[] }
  /** `grpc.health.v1.Health/Check` in plain text; SERVING is good. `service` may be empty: the server as a whole. */
  | { readonly type: "grpc"; readonly port: number; readonly service: string };

/** `unknown`: there is a probe that has yet to say something. Without a probe a workload is healthy. */
export type WorkloadHealth = "healthy" | "unhealthy" | "unknown";

/** A health as another version may have written it: what is not understood is undefined. */
export function readHealth(value: unknown): WorkloadHealth | undefined {
  return value === "healthy" || value === "unhealthy" || value === "unknown" ? value : undefined;
}
