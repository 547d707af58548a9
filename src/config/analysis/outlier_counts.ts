/** BOW0056: counts of outlier detection that never eject anybody. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

export const outlierCounts: Analyzer = function* (resources) {
  for (const { resource, path, policy: { outlierDetection } } of policies(resources)) {
    if (outlierDetection === null) continue;
    const { consecutive5xxErrors: errors, consecutiveGatewayErrors: gateway } = outlierDetection;
    const at = [...path, "outlierDetection"];
    if (errors === 0 && !gateway) {
      if (outlierDetection.splitExternalLocalOriginErrors) continue;
      const message = "consecutive5xxErrors is 0, and without consecutiveGatewayErrors nobody is ejected";
      yield warning(
        CODES.countsWithoutEffect,
        resource,
        [...at, "consecutive5xxErrors"],
        message,
        "count one of the two",
      );
    } else if (gateway && errors > 0 && gateway >= errors) {
      const message =
        `an endpoint is ejected after ${errors} errors of any kind, before it has made ${gateway}`;
      yield warning(
        CODES.countsWithoutEffect,
        resource,
        [...at, "consecutiveGatewayErrors"],
        message,
        `make it less than consecutive5xxErrors, which is ${errors}, or that 0`,
      );
    }
  }
};
