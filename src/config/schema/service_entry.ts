/** ServiceEntry (networking.istio.io): a service that is not a Kubernetes Service, with its endpoints. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { distinctPorts } from "./named_ports.ts";
import { wrong } from "./problem.ts";
import {
  addressOrNetwork,
  exportTo,
  hostOrWildcard,
  isDnsName,
  isUnixAddress,
  labels,
  oneOf,
  portName,
  portNumber,
} from "./scalars.ts";
import { workloadEntrySpec } from "./workload_entry.ts";

const PROTOCOLS = ["HTTP", "HTTPS", "GRPC", "HTTP2", "MONGO", "TCP", "TLS"] as const;
export type ServiceEntryProtocol = (typeof PROTOCOLS)[number];

const RESOLUTIONS = ["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] as const;

const protocol: Schema<ServiceEntryProtocol> = v.pipe(
  v.string(),
  // An empty name is none: protobuf cannot tell the two apart.
  v.transform((name) => name === "" ? "TCP" : name.toUpperCase()),
  v.picklist(PROTOCOLS, wrong(`{} is not a protocol; one of ${PROTOCOLS.join(", ")}`)),
);

/** In what comes out, `targetPort` is always there: the port's own number unless another was written. */
const port = v.pipe(
  fields({
    number: portNumber,
    name: portName,
    protocol: v.nullish(protocol, "TCP"),
    targetPort: optional(portNumber),
  }),
  v.transform((port) => ({ ...port, targetPort: port.targetPort ?? port.number })),
);

const written = fields({
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
  location: v.nullish(oneOf(["MESH_EXTERNAL", "MESH_INTERNAL"], "a location"), "MESH_EXTERNAL"),
  resolution: v.nullish(oneOf(RESOLUTIONS, "a resolution"), "NONE"),
  endpoints: list(workloadEntrySpec),
  /** Selects WorkloadEntries of the same namespace. */
  workloadSelector: optional(fields({ labels })),
  exportTo,
  /** Names that the certificate of an endpoint must have one of. */
  subjectAltNames: list(v.string() as Schema<string>),
});

type Written = v.InferOutput<typeof written>;

export const serviceEntrySpec = v.pipe(
  written,
  v.check(
    (spec) => spec.endpoints.length === 0 || spec.workloadSelector === null,
    wrong("has both endpoints and workloadSelector; only one of them can say where the service runs"),
  ),
  v.check(
    (spec) => spec.endpoints.length === 0 || spec.resolution !== "NONE",
    wrong("has endpoints, which resolution NONE does not use", "use resolution: STATIC"),
  ),
  across(endpointFaults),
  across(resolutionFaults),
);

export type ServiceEntrySpec = Immutable<v.InferOutput<typeof serviceEntrySpec>>;

function* endpointFaults({ endpoints, ports, resolution }: Written): Generator<Fault> {
  const names = ports.map(({ name }) => name);
  for (const [index, endpoint] of endpoints.entries()) {
    for (const name of Object.keys(endpoint.ports)) {
      if (names.includes(name)) continue;
      yield {
        message: wrong(`the service has no port "${name}"`, `it has ${names.join(", ")}`),
        at: ["endpoints", index, "ports", name],
      };
    }
    if (isUnixAddress(endpoint.address)) {
      const at = ["endpoints", index, "address"];
      if (resolution !== "STATIC") {
        yield { message: wrong(`a socket is of no use with resolution ${resolution}`, "use STATIC"), at };
      }
      if (ports.length > 1) {
        yield { message: wrong("a socket stands for one port, and the service has several"), at };
      }
    }
    if (resolution === "STATIC" && isDnsName(endpoint.address)) {
      yield {
        message: wrong("{} is a DNS name, which resolution STATIC does not look up", "use resolution: DNS"),
        at: ["endpoints", index, "address"],
      };
    }
  }
  if (resolution === "DNS_ROUND_ROBIN" && endpoints.length > 1) {
    yield { message: wrong("resolution DNS_ROUND_ROBIN has at most one endpoint"), at: ["endpoints"] };
  }
}

function* resolutionFaults({ addresses, endpoints, hosts, ports, resolution }: Written): Generator<Fault> {
  const dns = resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
  for (const [index, address] of addresses.entries()) {
    if (!dns || !address.includes("/")) continue;
    yield {
      message: wrong(`a network is of no use with resolution ${resolution}`),
      at: ["addresses", index],
    };
  }
  for (const [index, host] of hosts.entries()) {
    if (!dns || endpoints.length > 0 || !host.startsWith("*")) continue;
    yield {
      message: wrong("{} cannot be looked up in DNS", "write its endpoints, or use resolution: DYNAMIC_DNS"),
      at: ["hosts", index],
    };
  }
  const plain = ports.findIndex(({ protocol }) => protocol === "TCP" || protocol === "MONGO");
  if (resolution === "NONE" || hosts.length < 2 || plain === -1) return;
  yield {
    message: wrong("nothing tells several hosts apart on a TCP port", "write one ServiceEntry for each host"),
    at: ["ports", plain],
  };
}
