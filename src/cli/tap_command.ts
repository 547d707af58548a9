/** `bowline tap`: calls as they end, a line each. */
import type { TapGreeting, TappedCall, TappedVerdict } from "../model/tap.ts";
import { writeStdout } from "../runtime/process.ts";
import { AdminClient } from "./admin_client.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printable, printMessage, renderData, styled } from "./output.ts";

export interface TapOptions {
  readonly data?: string;
  readonly output: OutputFormat;
  /** Only what failed or was refused. */
  readonly failed?: boolean;
  /** Ends after so many calls. @default never */
  readonly count?: number;
}

/** A line: first the greeting, then a call, or how many were not told. */
type Told = TappedCall | { readonly omitted: number } | TapGreeting;

/** Prints until it is ended, the control plane ends, or nobody reads any more. JSON is one call a line. */
export async function runTap(
  workload: string | undefined,
  { data, output, failed = false, count = Infinity }: TapOptions,
): Promise<ExitCode> {
  const query = workload === undefined ? "" : `?workload=${encodeURIComponent(workload)}`;
  let left = count;
  for await (const line of new AdminClient(data).lines(`/v1/tap${query}`)) {
    const told = JSON.parse(line) as Told;
    if ("watching" in told) printMessage(greeting(workload, told));
    else if ("omitted" in told) printMessage(`${told.omitted} calls were too many to show`);
    else if (failed && !hasFailed(told)) continue;
    else if (!writeStdout(await render(told, output)) || --left === 0) return EXIT.ok;
  }
  throw new CommandError(EXIT.unavailable, "The control plane ended", "its log may say why");
}

/** An older control plane does not say who is connected. */
function greeting(workload: string | undefined, { connected = true }: TapGreeting): string {
  const absent = workload === undefined ? "no proxy is connected" : "it is not connected";
  return `Watching ${workload ?? "all workloads"}${connected ? "" : `, but ${absent} yet`}; Ctrl-C ends`;
}

async function render(call: TappedCall, output: OutputFormat): Promise<string> {
  if (output === "json") return `${JSON.stringify(call)}\n`;
  if (output === "yaml") return `---\n${await renderData("yaml", call, () => "")}\n`;
  const text = printable(textOf(call));
  return `${hasFailed(call) ? styled("stdout", "red", text) : text}\n`;
}

function hasFailed({ protocol, status, grpcStatus, flags, verdict }: TappedCall): boolean {
  if (verdict?.allowed === false || (flags !== "-" && flags !== "")) return true;
  // Its status of HTTP is 200 however it ends.
  if (protocol === "grpc" && grpcStatus !== 0) return true;
  return protocol !== "tcp" && (status === 0 || status >= 400);
}

/** The side first: both ends tell of a call between sidecars. */
function textOf(call: TappedCall): string {
  const { timeMs, reporter, source, destination, mtls, status, flags, details, durationMs, verdict } = call;
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const side = reporter === "source" ? "out" : "in ";
  const outcome = [call.protocol === "tcp" ? bytesOf(call) : String(status)];
  if (call.protocol === "grpc") outcome.push(`gRPC ${call.grpcStatus ?? "broken off"}`);
  if (flags !== "-" && flags !== "") outcome.push(flags);
  if (details !== "") outcome.push(details);
  const parts = [
    `${time} ${side} ${source} -> ${destination}`,
    requestOf(call),
    outcome.join(" "),
    `${durationMs < 10 ? durationMs.toFixed(1) : Math.round(durationMs)}ms`,
    mtls ? "mTLS" : "plain",
  ];
  if (verdict !== null) parts.push(verdictText(verdict));
  return parts.join("  ");
}

function requestOf({ protocol, method, authority, path, service }: TappedCall): string {
  return protocol === "tcp" ? `TCP ${service}` : `${method} ${authority}${path}`;
}

function bytesOf({ requestBytes, responseBytes }: TappedCall): string {
  return `${requestBytes} bytes in, ${responseBytes} out`;
}

function verdictText({ allowed, policy, rule, file, line }: TappedVerdict): string {
  if (policy === null) return allowed ? "no policy denies it" : "no policy allows it";
  return `${allowed ? "allowed" : "denied"} by rule ${rule} of ${policy} (${file}:${line})`;
}
