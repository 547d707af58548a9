/** WorkloadEntry (networking.istio.io): one program at one address, as a resource or as an endpoint of a ServiceEntry. */
import * as v from "valibot";
import { fields, map, optional, type Schema } from "./fields.ts";
import { wrong } from "./problem.ts";
import { ipAddress, labels, portNumber, subdomain } from "./scalars.ts";

/** uint32, the type of Istio's weight. */
export const ENDPOINT_WEIGHT_MAX = 4_294_967_295;

const text: Schema<string> = v.string();

const weight: Schema<number> = v.pipe(
  v.number(),
  v.check(
    (value) => Number.isInteger(value) && value >= 0 && value <= ENDPOINT_WEIGHT_MAX,
    wrong(`a weight is a whole number from 0 to ${ENDPOINT_WEIGHT_MAX}`),
  ),
  // Istio: unspecified, which in its API is 0, counts as 1.
  v.transform((value) => Math.max(1, value)),
);

export const workloadEntrySpec = fields({
  /** IPv4 or IPv6. */
  address: ipAddress,
  /** Port name of a service -> port number here; beats the service's targetPort. */
  ports: map(portNumber),
  labels,
  network: optional(text),
  /** `region/zone/subzone`. */
  locality: optional(text),
  /** 1 or more. */
  weight: v.nullish(weight, 1),
  /** Null: the files do not say that a sidecar is there. */
  serviceAccount: optional(subdomain),
});

export type WorkloadEntrySpec = v.InferOutput<typeof workloadEntrySpec>;
