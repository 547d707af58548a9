/** What every resource has around its spec: Kubernetes' metadata, and the status of a dump. */
import * as v from "valibot";
import { fields, map, type Schema } from "./fields.ts";
import { dnsLabel, labels, subdomain } from "./scalars.ts";

/** Where a resource without a namespace lives, as in Kubernetes. */
export const NAMESPACE_DEFAULT = "default";

/** Fields that Kubernetes writes or tools read; accepted whatever is in them, and without effect. */
const ignored = v.optional(v.unknown());

export const metadata = fields({
  name: subdomain,
  namespace: v.nullish(dnsLabel, NAMESPACE_DEFAULT),
  labels,
  annotations: map(v.string() as Schema<string>),
  creationTimestamp: ignored,
  deletionGracePeriodSeconds: ignored,
  deletionTimestamp: ignored,
  finalizers: ignored,
  generateName: ignored,
  generation: ignored,
  managedFields: ignored,
  ownerReferences: ignored,
  resourceVersion: ignored,
  selfLink: ignored,
  uid: ignored,
});

/** A whole document of a kind whose spec is `spec`. */
export function envelope<Spec>(spec: Schema<Spec>) {
  return fields({ apiVersion: v.string(), kind: v.string(), metadata, spec, status: ignored });
}

/** What comes out of a document. */
export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: v.InferOutput<typeof metadata>;
  readonly spec: unknown;
}
