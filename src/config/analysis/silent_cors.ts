/** BOW0076: a CORS policy that allows no origin. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

export const silentCors: Analyzer = ({ virtualServices }) => inEach(virtualServices);

const inEach = remembered(function* (resource: ConfigResource<VirtualServiceSpec>): Generator<Finding> {
  for (const [index, { corsPolicy }] of resource.spec.http.entries()) {
    if (corsPolicy === null || corsPolicy.allowOrigins.length > 0) continue;
    // Preflights of whatever origin are answered then.
    if (corsPolicy.unmatchedPreflights === "IGNORE") continue;
    const path = ["spec", "http", index, "corsPolicy"];
    const message = "no origin is allowed, so requests pass as without it";
    yield warning(CODES.corsWithoutOrigin, resource, path, message, 'add allowOrigins: [{ exact: "..." }]');
  }
});
