/** `bowline token`: join tokens from the running control plane, those that are out, and how to take one back. */
import { formatDuration, parseDuration } from "../lib/duration.ts";
import {
  type JoinTokenStatus,
  TOKEN_LIFE_MAX_MS,
  TOKEN_LIFE_MIN_MS,
  type TokenCreateReply,
  type TokenCreateRequest,
  type TokenRevokeRequest,
  type TokensReply,
} from "../model/admin.ts";
import { Network } from "../lib/ip.ts";
import { parseWorkloadKey } from "../model/workload.ts";
import { AdminClient } from "./admin_client.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface TokenCreateOptions {
  /** `NAMESPACE/NAME`; either this or `group`. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of a WorkloadGroup. */
  readonly group?: string;
  /** A Go duration. */
  readonly ttl: string;
  /** Networks from which it may be used. */
  readonly source?: readonly string[];
  readonly data?: string;
  readonly output: OutputFormat;
}

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "WORKLOAD" },
  { title: "GROUP" },
  { title: "IDENTITY" },
  { title: "SOURCE" },
  { title: "EXPIRES" },
];

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

/** JSON is what `GET /v1/tokens` of the admin socket answers. */
export async function runTokenList(
  { data, output }: Pick<TokenCreateOptions, "data" | "output">,
): Promise<ExitCode> {
  const reply = await new AdminClient(data).get("/v1/tokens") as TokensReply;
  if (output === "table" && reply.tokens.length === 0) {
    printMessage("No join token is out; bowline token create --workload NS/NAME makes one");
    return EXIT.ok;
  }
  await printData(output, reply, () => formatTable(COLUMNS, reply.tokens.map(row)));
  return EXIT.ok;
}

export async function runTokenRevoke(
  id: string,
  { data }: Pick<TokenCreateOptions, "data">,
): Promise<ExitCode> {
  const request: TokenRevokeRequest = { id };
  await new AdminClient(data).post("/v1/tokens/revoke", request);
  printMessage(printable(`Revoked the join token ${id}; nobody can join with it any more`));
  return EXIT.ok;
}

function row({ id, workload, group, spiffeId, source, expiresAt }: JoinTokenStatus): string[] {
  return [id, workload, group ?? "-", spiffeId, source.join(",") || "-", expiresAt];
}

function readRequest({ workload, group, ttl, source }: TokenCreateOptions): TokenCreateRequest {
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
  if (ttlMs < TOKEN_LIFE_MIN_MS || ttlMs > TOKEN_LIFE_MAX_MS) {
    const [least, most] = [TOKEN_LIFE_MIN_MS, TOKEN_LIFE_MAX_MS].map(formatDuration);
    throw new CommandError(EXIT.usage, `A join token lives ${least} to ${most}, not ${ttl}`);
  }
  for (const network of source ?? []) {
    if (Network.parse(network) !== null) continue;
    throw new CommandError(
      EXIT.usage,
      `${JSON.stringify(network)} is no network`,
      "for instance --source 10.0.0.0/8, or the address of one machine",
    );
  }
  return { [what]: key, ttlMs, source };
}
