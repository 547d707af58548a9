/** ServiceEntry (networking.istio.io): a service that is not a Kubernetes Service, with its endpoints. */
import * as v from "valibot";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import { distinctPorts } from "./named_ports.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { addressOrNetwork, exportTo, hostOrWildcard, labels, portNumber } from "./scalars.ts";
import { workloadEntrySpec } from "./workload_entry.ts";

const PROTOCOLS = ["HTTP", "HTTPS", "GRPC", "HTTP2", "MONGO", "TCP", "TLS"] as const;
export type ServiceEntryProtocol = (typeof PROTOCOLS)[number];

const LOCATIONS = ["MESH_EXTERNAL", "MESH_INTERNAL"] as const;
const DNS_RESOLUTIONS: readonly string[] = ["DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"];

const protocol: Schema<ServiceEntryProtocol> = v.pipe(
  v.string(),
  v.transform((name) => name.toUpperCase()),
  v.picklist(PROTOCOLS, wrong(`{} is not a protocol; one of ${PROTOCOLS.join(", ")}`)),
);

const resolution: Schema<"NONE" | "STATIC"> = v.pipe(
  v.string(),
  v.check(
    (name) => !DNS_RESOLUTIONS.includes(name),
    unimplementedValue("finding endpoints by DNS", "use resolution: STATIC with endpoints"),
  ),
  v.check(
    (name) => ["NONE", "STATIC", ...DNS_RESOLUTIONS].includes(name),
    wrong("{} is not a resolution; one of NONE, STATIC"),
  ),
  v.transform((name) => name as "NONE" | "STATIC"),
);

/** In what comes out, `targetPort` is always there: the port's own number unless another was written. */
const port = v.pipe(
  fields({
    number: portNumber,
    name: v.pipe(v.string(), v.nonEmpty(wrong("a port needs a name"))),
    protocol: v.nullish(protocol, "TCP"),
    targetPort: optional(portNumber),
  }),
  v.transform((port) => ({ ...port, targetPort: port.targetPort ?? port.number })),
);

export const serviceEntrySpec = v.pipe(
  fields({
    /** Lower case; never `*`. */
    hosts: listOfSome(
      v.pipe(
        hostOrWildcard,
        v.check((name) => name !== "*", wrong('the host "*" is not allowed in a ServiceEntry')),
      ),
      "one host",
    ),
    /** IP addresses and networks. */
    addresses: list(addressOrNetwork),
    ports: v.pipe(
      listOfSome(port as Schema<v.InferOutput<typeof port>>, "one port"),
      distinctPorts("number"),
    ),
    location: v.nullish(
      v.picklist(LOCATIONS, wrong(`{} is not a location; one of ${LOCATIONS.join(", ")}`)),
      "MESH_EXTERNAL",
    ),
    resolution: v.nullish(resolution, "NONE"),
    endpoints: list(workloadEntrySpec),
    /** Selects WorkloadEntries of the same namespace. */
    workloadSelector: optional(fields({ labels })),
    exportTo,
  }, ["subjectAltNames"]),
  v.check(
    (spec) => spec.endpoints.length === 0 || spec.workloadSelector === null,
    wrong("has both endpoints and workloadSelector; only one of them can say where the service runs"),
  ),
  v.check(
    (spec) => spec.endpoints.length === 0 || spec.resolution !== "NONE",
    wrong("has endpoints, which resolution NONE does not use", "use resolution: STATIC"),
  ),
);

export type ServiceEntrySpec = v.InferOutput<typeof serviceEntrySpec>;
