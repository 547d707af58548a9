/**
 * What the schemas know and the mesh does not do yet. Such a field is refused by name, wherever it is written, so that
 * nobody believes in a rule that has no effect. Each group goes away as a whole when its feature is there.
 */
import { isMap } from "../../lib/is_map.ts";
import { type Problem, unimplementedFieldProblem, unimplementedValueProblem } from "./problem.ts";

/** A field of a kind, below `spec`: `http[].timeout`. */
export interface Refusal {
  readonly kind: string;
  readonly path: string;
  /** Only values of which this is true; all of them when absent. */
  readonly when?: (value: unknown) => boolean;
  /** What such a value is; the field itself when absent. */
  readonly what?: string;
  /** What to write instead. */
  readonly hint?: string;
}

const INBOUND_POOLS = ["inboundConnectionPool", "ingress[].connectionPool"];

export const UNIMPLEMENTED: Readonly<Record<string, readonly Refusal[]>> = {
  sidecar: [
    // Istio reads it for callers alone.
    ...values("Sidecar", INBOUND_POOLS.map((pool) => `${pool}.http.h2UpgradePolicy`), {
      when: (value) => value === "UPGRADE",
      what: "h2UpgradePolicy UPGRADE towards the workload",
      hint: "say by the port's name or appProtocol that the workload speaks HTTP/2",
    }),
  ],
  // It is for proxies that name a cluster as the server of TLS, and those of this mesh call endpoints by themselves.
  gatewayTls: values("Gateway", ["servers[].tls.mode"], {
    when: (value) => value === "AUTO_PASSTHROUGH",
    what: "the TLS mode AUTO_PASSTHROUGH",
    hint: "use PASSTHROUGH with a VirtualService",
  }),
  mesh: [
    // Processes are started by whoever starts a sidecar, before it hears of any configuration.
    {
      kind: "MeshConfig",
      path: "defaultConfig.concurrency",
      what: "a number of workers for all sidecars",
      hint: "start each sidecar with --workers",
    },
  ],
};

/** Kinds that this version does not implement, whether or not there is a schema for them. */
export const UNIMPLEMENTED_KINDS: ReadonlySet<string> = new Set([
  "EnvoyFilter",
  "ProxyConfig",
  "Telemetry",
  "WasmPlugin",
  // The classic Mixer kinds (config.istio.io/v1alpha2).
  "QuotaSpec",
  "QuotaSpecBinding",
  "checknothing",
  "denier",
  "handler",
  "instance",
  "listchecker",
  "listentry",
  "logentry",
  "memquota",
  "metric",
  "prometheus",
  "quota",
  "redisquota",
  "rule",
  "stdio",
]);

/** A problem at its place in the document. */
export interface Refused extends Problem {
  readonly path: readonly (string | number)[];
}

/** What of a document of `kind` is refused. */
export function refusedIn(kind: string, document: unknown): Refused[] {
  return (BY_KIND.get(kind) ?? []).flatMap(({ path, when, what, hint }) =>
    [...valuesAt(document, ["spec", ...stepsOf(path)], [])]
      .filter(({ value }) => when === undefined || when(value))
      .map(({ at }) => ({
        ...(what === undefined
          ? unimplementedFieldProblem(String(at.at(-1)), "Istio")
          : unimplementedValueProblem(what, hint)),
        path: at,
      }))
  );
}

const BY_KIND: ReadonlyMap<string, readonly Refusal[]> = Map.groupBy(
  Object.values(UNIMPLEMENTED).flat(),
  ({ kind }) => kind,
);

function values(kind: string, paths: readonly string[], rest: Omit<Refusal, "kind" | "path">): Refusal[] {
  return paths.map((path) => ({ kind, path, ...rest }));
}

/** `http[].timeout` as `http`, every item, `timeout`. */
function stepsOf(path: string): string[] {
  return path.split(".").flatMap((step) => step.endsWith("[]") ? [step.slice(0, -2), EVERY] : [step]);
}

/** Every item of a list. */
const EVERY = "[]";

function* valuesAt(
  value: unknown,
  steps: readonly string[],
  at: readonly (string | number)[],
): Generator<{ at: readonly (string | number)[]; value: unknown }> {
  const [step, ...rest] = steps;
  if (step === undefined) {
    // Nothing written is nothing refused.
    if (value !== null && value !== undefined) yield { at, value };
  } else if (step === EVERY) {
    for (const [index, item] of (Array.isArray(value) ? value : []).entries()) {
      yield* valuesAt(item, rest, [...at, index]);
    }
  } else if (isMap(value) && Object.hasOwn(value, step)) {
    yield* valuesAt(value[step], rest, [...at, step]);
  }
}
