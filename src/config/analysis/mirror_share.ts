/** BOW0043: the share of a mirror that is not there. */
import { CODES } from "../codes.ts";
import { type Analyzer, isWritten, warning } from "./analyzer.ts";

export const mirrorShare: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
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
  }
};
