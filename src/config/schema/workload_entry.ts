/** WorkloadEntry (networking.istio.io): one program at one address, as a resource or as an endpoint of a ServiceEntry. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, map, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { UINT32_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { isUnixAddress, labels, portName, portNumber, subdomain, text, workloadAddress } from "./scalars.ts";

/** uint32, the type of Istio's weight. */
export const ENDPOINT_WEIGHT_MAX = UINT32_MAX;

const weight: Schema<number> = v.pipe(
  wholeNumber("a weight", 0, ENDPOINT_WEIGHT_MAX),
  // Istio: unspecified, which in its API is 0, counts as 1.
  v.transform((value) => Math.max(1, value)),
);

/** What a WorkloadGroup can say of its workloads too. */
export const workloadFields = {
  /** Port name of a service -> port number here; beats the service's targetPort. */
  ports: map(portNumber, portName),
  network: text,
  /** `region/zone/subzone`. */
  locality: text,
  /** 1 or more. */
  weight: v.nullish(weight, 1),
  /** Null: the files do not say that a sidecar is there. */
  serviceAccount: optional(subdomain),
};

const written = fields({
  /** IPv4, IPv6, a DNS name, or `unix:///PATH`. */
  address: workloadAddress,
  labels,
  ...workloadFields,
});

type Written = v.InferOutput<typeof written>;

export const workloadEntrySpec = v.pipe(
  written,
  across(function* ({ address, ports }: Written): Generator<Fault> {
    if (!isUnixAddress(address) || Object.keys(ports).length === 0) return;
    yield { message: wrong("a socket of the file system has no ports"), at: ["ports"] };
  }),
) as Schema<Written>;

export type WorkloadEntrySpec = Immutable<v.InferOutput<typeof workloadEntrySpec>>;
