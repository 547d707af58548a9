/** `bowline policy simulate PATH...`: what AuthorizationPolicies that nobody enforces yet would do to the calls that were seen. */
import type { SimulatedCall, SimulationReply, SimulationRequest } from "../model/admin.ts";
import { AdminClient } from "./admin_client.ts";
import { readFiles } from "./config_files.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface PolicySimulateOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

const COLUMNS: readonly Column[] = [
  { title: "VERDICT" },
  { title: "CALLS", align: "right" },
  { title: "FROM" },
  { title: "TO" },
  { title: "REQUEST" },
  { title: "WHY" },
];

/** Ends with 1 where a call that was let through would be refused, or may be. JSON has all calls, the table those. */
export async function runPolicySimulate(
  paths: readonly string[],
  { data, output }: PolicySimulateOptions,
): Promise<ExitCode> {
  const request: SimulationRequest = { files: await readAll(paths) };
  const reply = await new AdminClient(data).post("/v1/policy-simulations", request) as SimulationReply;
  const lost = reply.calls.filter(({ call, outcome }) => call.allowed > 0 && outcome !== "allow");
  const won = reply.calls.filter(({ call, outcome }) =>
    call.refused > 0 && (outcome === "allow" || (outcome === "unknown" && call.allowed === 0))
  );
  if (output !== "table" || lost.length + won.length > 0) {
    await printData(output, reply, () => formatTable(COLUMNS, [...lost, ...won].map(row)));
  }
  if (output === "table") printMessage(printable(summary(reply, lost)));
  return lost.length === 0 ? EXIT.ok : EXIT.error;
}

function summary(
  { candidates, calls, since, omitted }: SimulationReply,
  lost: readonly SimulatedCall[],
): string {
  const count = (of: readonly SimulatedCall[], outcome: SimulatedCall["outcome"]) =>
    sum(of.filter((one) => one.outcome === outcome));
  const undecided = count(lost, "unknown");
  const parts = [`${count(lost, "deny")} would be denied`];
  if (undecided > 0) parts.push(`${undecided} may be`);
  if (omitted > 0) parts.push(`of ${omitted} more nothing is known but their number`);
  return `${candidates.join(", ")}: of ${sum(calls)} calls let through since ${since} ${parts.join(", ")}`;
}

function sum(calls: readonly SimulatedCall[]): number {
  return calls.reduce((total, { call }) => total + call.allowed, 0);
}

const VERDICTS = { allow: "allowed", deny: "denied", unknown: "unknown" } as const;

function row({ workload, call, outcome, reason }: SimulatedCall): string[] {
  const { caller, protocol, method, path, port, allowed, refused } = call;
  const request = protocol === "tcp" ? `TCP :${port}` : `${method} :${port}${path}`;
  const calls = outcome === "allow" || allowed === 0 ? refused : allowed;
  return [VERDICTS[outcome], String(calls), caller, workload, request, reason].map(printable);
}

/** Throws CommandError. */
async function readAll(paths: readonly string[]): Promise<SimulationRequest["files"]> {
  const files = new Map<string, string>();
  for (const path of paths) {
    for (const file of await readFiles(path, "policies")) files.set(file.path, file.text);
  }
  return [...files].map(([path, text]) => ({ path, text }));
}
