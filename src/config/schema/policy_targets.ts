/** Which workloads a policy is for, by fields of Istio's that bowline has no targets for. */
import * as v from "valibot";
import { unimplementedValue } from "./problem.ts";

/** What says which workloads it is for may not be dropped, since it would be for others then. */
export const noTargets = v.optional(v.pipe(
  v.unknown(),
  v.check(
    (value) => value === null || (Array.isArray(value) && value.length === 0),
    unimplementedValue("a policy for targets of Kubernetes' Gateway API", "select workloads by their labels"),
  ),
));
