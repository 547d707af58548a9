/** ProxyConfig (networking.istio.io): how the proxies themselves run. */
import type * as v from "valibot";
import { fields, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { INT32_MAX, wholeNumber } from "./numbers.ts";
import { labels } from "./scalars.ts";

/** Worker threads; 0 is as many as there are cores. */
export const concurrency: Schema<number> = wholeNumber("a concurrency", 0, INT32_MAX);

export const proxyConfigSpec = fields({
  /** Null: all workloads of the namespace, or of the mesh where it stands in the root namespace. */
  selector: optional(fields({ matchLabels: labels })),
  concurrency: optional(concurrency),
}, ["environmentVariables", "image"]);

export type ProxyConfigSpec = Immutable<v.InferOutput<typeof proxyConfigSpec>>;
