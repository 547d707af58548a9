/** `bowline policy suggest`: AuthorizationPolicies that allow the calls that were seen, as a file to begin with. */
import { stringify } from "yaml";
import type { PolicySuggestions, SuggestedPolicy } from "../model/admin.ts";
import { AdminClient } from "./admin_client.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, plural, printable, printData, printMessage } from "./output.ts";

export interface PolicySuggestOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

/** `-o json` and `-o yaml` are what `GET /v1/policy-suggestions` of the admin socket answers. */
export async function runPolicySuggest(
  workload: string | undefined,
  { data, output }: PolicySuggestOptions,
): Promise<ExitCode> {
  const query = workload === undefined ? "" : `?workload=${encodeURIComponent(workload)}`;
  const reply = await new AdminClient(data).get(`/v1/policy-suggestions${query}`) as PolicySuggestions;
  const policies = reply.policies.filter(({ workloads }) =>
    workload === undefined || workloads.includes(workload)
  );
  if (policies.length === 0) {
    throw new CommandError(
      EXIT.error,
      `No call to ${workload ?? "any workload"} was let through since ${reply.since}`,
      "bowline graph shows which calls were reported",
    );
  }
  await printData(output, { ...reply, policies }, () => policies.map(policyDocument).join("---\n").trimEnd());
  if (output === "table") {
    printMessage(
      `Calls since ${reply.since}; what has not happened yet is not allowed. Try the file on them, and on ` +
        "later ones, with bowline policy simulate",
    );
  }
  return EXIT.ok;
}

/** A policy as YAML, with what it is made of in comments. */
export function policyDocument({ workloads, kinds, calls, leftOut, resource }: SuggestedPolicy): string {
  const comments = [`# For ${workloads.join(", ")}: ${plural(kinds, "kind")} of ${plural(calls, "call")}.`];
  if (leftOut > 0) {
    comments.push(
      `# Left out: ${
        plural(leftOut, "call")
      } of which nothing but the number is known, or that no pattern can name.`,
    );
  }
  return `${comments.map(printable).join("\n")}\n${stringify(resource)}`;
}
