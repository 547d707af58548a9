/** `bowline ca rotate`: a new root for the mesh, step by step. */
import type { RolloverRequest, RolloverStatus } from "../model/admin.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printable, printData } from "./output.ts";

export interface CaRotateOptions {
  readonly data?: string;
  readonly force?: boolean;
  readonly output: OutputFormat;
}

const PATH = "/v1/rollover";

/** Workloads of a list that are named. */
const NAMED_MAX = 10;

const ROOT_COLUMNS: readonly Column[] = [{ title: "ROOT" }, { title: "EXPIRES" }, { title: "SIGNS" }];

/** JSON is what the admin socket answers. */
export async function runCaRotate(
  step: RolloverRequest["step"] | "status",
  { data, force, output }: CaRotateOptions,
): Promise<ExitCode> {
  const client = new AdminClient(data);
  const request = step === "status" ? null : { step, force } satisfies RolloverRequest;
  const status = await (request === null ? client.get(PATH) : client.post(PATH, request)) as RolloverStatus;
  await printData(output, status, () => rolloverText(status));
  return EXIT.ok;
}

function rolloverText({ phase, roots, connected, lacking, unrenewed }: RolloverStatus): string {
  const rows = roots.map(({ pin, notAfter, signs }) => [pin, notAfter, signs ? "yes" : "no"]);
  return [
    formatTable(ROOT_COLUMNS, rows),
    "",
    `phase: ${phase ?? "none"}`,
    `proxies that trust these roots: ${connected - lacking.length} of ${connected} connected${
      names(lacking)
    }`,
    `workloads with a certificate of another root than the one that signs: ${unrenewed.length}${
      names(unrenewed)
    }`,
    ...next(phase, lacking.length + unrenewed.length),
  ].join("\n");
}

function names(workloads: readonly string[]): string {
  if (workloads.length === 0) return "";
  const more = workloads.length > NAMED_MAX ? `, and ${workloads.length - NAMED_MAX} more` : "";
  return ` (${workloads.slice(0, NAMED_MAX).map(printable).join(", ")}${more})`;
}

function next(phase: RolloverStatus["phase"], waiting: number): string[] {
  if (phase === null) return [];
  if (phase === "distributing") {
    return ["next: the new root signs as soon as every connected proxy trusts it"];
  }
  if (phase === "withdrawing") {
    return ["next: the rollover is over when nobody has a certificate of the other root"];
  }
  return [
    waiting === 0
      ? "next: bowline ca rotate finish"
      : "next: wait until all have renewed, which those that run do by themselves; revoke those that are gone",
  ];
}
