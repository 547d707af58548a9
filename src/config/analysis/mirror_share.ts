/** BOW0043: the share of a mirror that is not there. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, isWritten, warning } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

export const mirrorShare: Analyzer = ({ virtualServices }) => inEach(virtualServices);

const inEach = remembered(function* (resource: ConfigResource<VirtualServiceSpec>): Generator<Finding> {
  for (const [index, { mirror }] of resource.spec.http.entries()) {
    if (mirror !== null) continue;
    for (const field of ["mirrorPercentage", "mirrorPercent"]) {
      const path = ["spec", "http", index, field];
      if (!isWritten(resource, path)) continue;
      const message = "there is no mirror beside it, so nothing is copied";
      yield warning(
        CODES.mirrorMissing,
        resource,
        path,
        message,
        "add mirror:; each of mirrors has a percentage",
      );
    }
  }
});
