/** What the admin socket says of the calls that were seen: policies that would allow them, and what policies would do to them. */
import { compareTexts } from "../../lib/compare_texts.ts";
import { Hono } from "hono";
import { allFindings, ConfigReader } from "../../config/loader.ts";
import { formatFinding } from "../../config/format_finding.ts";
import type { ConfigResource, ResourceSet } from "../../config/resource.ts";
import type { CallStore } from "../../mixer/call_store.ts";
import type {
  PolicySuggestions,
  SimulatedCall,
  SimulationReply,
  SimulationRequest,
} from "../../model/admin.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import { extAuthzOf } from "../../pilot/ext_authz.ts";
import type { MeshWorkload } from "../../pilot/file_workloads.ts";
import { meshConfigOf } from "../../pilot/mesh_defaults.ts";
import { PolicyCatalogue } from "../../pilot/policies.ts";
import type { WorkloadRegistry } from "../../pilot/registry.ts";
import { PolicySimulation } from "../policy_simulation.ts";
import { workloadFault } from "./asked_workload.ts";
import { BodyError, readJson } from "./read_body.ts";
import { suggestPolicies } from "../suggested_policies.ts";

/** YAML of candidates in one request. */
const SIMULATION_BYTES_MAX = 1024 * 1024;

export interface PolicyApiOptions {
  readonly calls: CallStore;
  readonly registry: WorkloadRegistry;
  readonly trustDomain: string;
  /** Milliseconds since 1970: calls are remembered from then on. */
  readonly sinceMs: number;
  /** Every workload that the files or the books have. */
  known(): ReadonlySet<WorkloadKey>;
  /** What serves. */
  resources(): ResourceSet;
}

export function createPolicyApi(options: PolicyApiOptions): Hono {
  const app = new Hono();
  app.get("/v1/policy-suggestions", (context) => {
    const workload = context.req.query("workload");
    const fault = workload === undefined ? null : workloadFault(workload, options.known());
    if (fault !== null) return context.json(requestInvalid(fault), 400);
    return context.json(suggestions(options));
  });
  app.post("/v1/policy-simulations", async (context) => {
    try {
      return context.json(await simulation(context.req.raw, options));
    } catch (error) {
      if (!(error instanceof BodyError)) throw error;
      return context.json(requestInvalid(error.message), error.status);
    }
  });
  return app;
}

function requestInvalid(message: string) {
  return { error: { code: "request_invalid", message } };
}

function suggestions({ calls, registry, sinceMs }: PolicyApiOptions): PolicySuggestions {
  const labelsOf = (workload: WorkloadKey, spiffeId: string) => ownerOf(registry, workload, spiffeId)?.labels;
  return { since: new Date(sinceMs).toISOString(), ...suggestPolicies(calls.seen(), labelsOf) };
}

/** Throws BodyError. */
async function simulation(request: Request, options: PolicyApiOptions): Promise<SimulationReply> {
  const { calls, registry, sinceMs, trustDomain } = options;
  const body = await readJson(request, SIMULATION_BYTES_MAX) as Partial<SimulationRequest> | null;
  const candidates = candidatesIn(body?.files);
  const served = options.resources();
  const mesh = meshConfigOf(served);
  const catalogue = new PolicyCatalogue(
    { ...served, authorizationPolicies: replaced(served.authorizationPolicies, candidates) },
    mesh.rootNamespace,
  );
  const tried: SimulatedCall[] = [];
  let omitted = 0;
  for (const seen of calls.seen()) {
    const workload = ownerOf(registry, seen.workload, seen.principal);
    if (workload === undefined) continue;
    const wanted = catalogue.providerFor(workload);
    const provider = wanted === null ? null : extAuthzOf(mesh, wanted)?.provider ?? null;
    const policies = catalogue.policiesFor(workload, [trustDomain, ...mesh.trustDomainAliases], provider);
    const simulation = new PolicySimulation(seen.workload, workload.address, policies, provider);
    tried.push(...seen.calls.map((call) => simulation.try(call)));
    omitted += seen.omitted;
  }
  return {
    since: new Date(sinceMs).toISOString(),
    candidates: candidates.map(nameOf),
    calls: tried,
    omitted,
  };
}

/** Throws BodyError for what cannot be tried. */
function candidatesIn(files: SimulationRequest["files"] | undefined): ResourceSet["authorizationPolicies"] {
  const isFile = ({ path, text }: SimulationRequest["files"][number]) =>
    typeof path === "string" && typeof text === "string";
  if (!Array.isArray(files) || !files.every(isFile)) {
    throw new BodyError(400, "The body needs files, each with a path and a text");
  }
  const { resources, findings } = new ConfigReader().read(
    files.map(({ path, text }) => ({ file: path, text })),
  );
  if (resources === null) {
    const [first] = allFindings(null, findings);
    throw new BodyError(400, first === undefined ? "It is not valid" : formatFinding(first));
  }
  const { authorizationPolicies, ...others } = resources;
  const other = Object.values(others).flat()[0] as ConfigResource<unknown> | undefined;
  if (other !== undefined) {
    const { position: { file, line }, kind } = other;
    throw new BodyError(400, `${file}:${line}: a ${kind}; only an AuthorizationPolicy can be tried on calls`);
  }
  if (authorizationPolicies.length === 0) throw new BodyError(400, "There is no AuthorizationPolicy in it");
  return authorizationPolicies;
}

function replaced(
  served: ResourceSet["authorizationPolicies"],
  candidates: ResourceSet["authorizationPolicies"],
): ResourceSet["authorizationPolicies"] {
  const names = new Set(candidates.map(nameOf));
  return [...served.filter((policy) => !names.has(nameOf(policy))), ...candidates]
    .sort((a, b) => compareTexts(nameOf(a), nameOf(b)));
}

function nameOf({ namespace, name }: Pick<ConfigResource<unknown>, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

/** The workload, if it is whose sidecar told of it. */
function ownerOf(
  registry: WorkloadRegistry,
  workload: WorkloadKey,
  spiffeId: string,
): MeshWorkload | undefined {
  return registry.expectedSpiffeId(workload) === spiffeId ? registry.get(workload) : undefined;
}
