/** `bowline token create`: a join token from the running control plane. */
import { parseDuration } from "../lib/duration.ts";
import type { TokenCreateReply, TokenCreateRequest } from "../model/admin.ts";
import { parseWorkloadKey } from "../model/workload.ts";
import { AdminClient } from "./admin_client.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface TokenCreateOptions {
  /** `NAMESPACE/NAME`; either this or `group`. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of a WorkloadGroup. */
  readonly group?: string;
  /** A Go duration. */
  readonly ttl: string;
  readonly data?: string;
  readonly output: OutputFormat;
}

/** Standard output gets the token alone, so that it can be sent to a file; what it is good for goes to standard error. */
export async function runTokenCreate(options: TokenCreateOptions): Promise<ExitCode> {
  const { output, data } = options;
  const request = readRequest(options);
  const reply = await new AdminClient(data).post("/v1/tokens", request) as TokenCreateReply;
  await printData(output, reply, () => reply.token);
  if (output === "table") {
    const { workload, spiffeId, controlPlane, expiresAt } = reply;
    printMessage(printable(
      `Join token for ${workload} (${spiffeId}) at ${controlPlane}; works once, until ${expiresAt}`,
    ));
  }
  return EXIT.ok;
}

function readRequest({ workload, group, ttl }: TokenCreateOptions): TokenCreateRequest {
  const key = workload ?? group;
  if (key === undefined || (workload !== undefined && group !== undefined)) {
    throw new CommandError(
      EXIT.usage,
      "A token needs either --workload or --group",
      "for instance --workload tutorial/customer",
    );
  }
  const what = group === undefined ? "workload" : "group";
  if (parseWorkloadKey(key) === undefined) {
    throw new CommandError(
      EXIT.usage,
      `The ${what} must be NAMESPACE/NAME in lower case, not ${JSON.stringify(key)}`,
      `for instance --${what} tutorial/customer`,
    );
  }
  const ttlMs = parseDuration(ttl);
  if (ttlMs === undefined) {
    throw new CommandError(
      EXIT.usage,
      `${JSON.stringify(ttl)} is not a duration`,
      "for instance --ttl 15m, 1h30m or 90s",
    );
  }
  return { [what]: key, ttlMs };
}
