/** BOW0050: warming up with a balancer that knows no weights. */
import { CODES } from "../codes.ts";
import { type Analyzer, isWritten, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

const WEIGHING: ReadonlySet<string> = new Set(["ROUND_ROBIN", "LEAST_REQUEST"]);

export const warmupBalancer: Analyzer = function* (resources) {
  for (const { resource, path, policy } of policies(resources)) {
    const { warmup, simple, consistentHash } = policy.loadBalancer ??
      { warmup: null, simple: "", consistentHash: null };
    if (warmup === null || (consistentHash === null && WEIGHING.has(simple))) continue;
    const at = [...path, "loadBalancer"];
    const field = isWritten(resource, [...at, "warmup"]) ? "warmup" : "warmupDurationSecs";
    yield warning(
      CODES.warmupIgnored,
      resource,
      [...at, field],
      `new endpoints are not warmed up by ${consistentHash === null ? simple : "consistentHash"}`,
      "use ROUND_ROBIN or LEAST_REQUEST",
    );
  }
};
