/** Asks a workload once how it is. Each way of asking is a file; all answer null for well, or what is wrong in a clause. */
import { messageOf } from "../../lib/message_of.ts";
import type { HealthProbe } from "../../model/health_probe.ts";
import type { CheckContext } from "./check_context.ts";
import { checkByCommand } from "./exec_check.ts";
import { checkGrpc } from "./grpc_check.ts";
import { checkHttp } from "./http_check.ts";
import { checkTcp } from "./tcp_check.ts";

/** Null: it is well. Never rejects, and ends at the probe's timeout; the signal ends it before. */
export type Check = (probe: HealthProbe, signal: AbortSignal) => Promise<string | null>;

export function createCheck(context: CheckContext): Check {
  return async ({ method, timeoutMs }, signal) => {
    try {
      switch (method.type) {
        case "http":
          return await checkHttp(method, timeoutMs, context);
        case "tcp":
          return await checkTcp(method, timeoutMs, context);
        case "grpc":
          return await checkGrpc(method, timeoutMs, context);
        case "exec":
          return await checkByCommand(method.command, timeoutMs, signal);
      }
    } catch (error) {
      return messageOf(error);
    }
  };
}
