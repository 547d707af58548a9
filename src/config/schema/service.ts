/** Kubernetes' plain Service (v1): a name and ports for the WorkloadEntries that its selector finds. */
import * as v from "valibot";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { distinctPorts } from "./named_ports.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { isIp, LABEL_LENGTH_MAX, labels, portNumber } from "./scalars.ts";

const OTHER_PROTOCOLS: readonly string[] = ["UDP", "SCTP"];
const OTHER_TYPES: readonly string[] = ["NodePort", "LoadBalancer", "ExternalName"];

/** Kubernetes' IANA service name: what `ports[].name` and a `targetPort` by name look like. */
const PORT_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const text: Schema<string> = v.string();

/** Kubernetes writes "None" for a service without one. */
const clusterIp: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (address) => address === "" || address === "None" || isIp(address),
    wrong('{} is neither an IP address nor "None"'),
  ),
);

const portName: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => name === "" || (name.length <= LABEL_LENGTH_MAX && PORT_NAME.test(name)),
    wrong('a port\'s name is lower-case letters, digits and "-", with a letter or digit at both ends'),
  ),
);

const protocol: Schema<"TCP"> = v.pipe(
  v.string(),
  v.check((name) => !OTHER_PROTOCOLS.includes(name), unimplementedValue("a protocol other than TCP")),
  v.check(
    (name) => name === "TCP" || OTHER_PROTOCOLS.includes(name),
    wrong("{} is not a protocol; TCP is the one"),
  ),
  v.transform(() => "TCP" as const),
);

const targetPort: Schema<number | string> = v.lazy((value): Schema<number | string> =>
  typeof value === "number" ? portNumber : portName
);

/** In what comes out, `name` is empty where none was written, and `targetPort` is the port itself where none was. */
const port = v.pipe(
  fields(
    {
      name: v.nullish(portName, ""),
      port: portNumber,
      targetPort: optional(targetPort),
      protocol: v.nullish(protocol, "TCP"),
      /** Names the protocol that is spoken, before the prefix of `name` does. */
      appProtocol: optional(text),
    },
    ["nodePort"],
    "Kubernetes",
  ),
  v.transform((port) => ({ ...port, targetPort: port.targetPort ?? port.port })),
);

const type: Schema<"ClusterIP"> = v.pipe(
  v.string(),
  v.check((name) => !OTHER_TYPES.includes(name), unimplementedValue("a type other than ClusterIP")),
  v.check(
    (name) => name === "ClusterIP" || OTHER_TYPES.includes(name),
    wrong("{} is not a type of Service; ClusterIP is the one"),
  ),
  v.transform(() => "ClusterIP" as const),
);

/** What Kubernetes writes into every Service and what has no effect here: the default is accepted, the rest is refused. */
function withoutEffect(field: string, accepted: readonly string[]): Schema<string> {
  return v.pipe(
    v.string(),
    v.check(
      (value) => accepted.includes(value),
      unimplementedValue(`${field} other than ${accepted.join(", ")}`),
    ),
  );
}

export const serviceSpec = fields({
  /** Empty selects nothing. */
  selector: labels,
  ports: v.pipe(listOfSome(port as Schema<v.InferOutput<typeof port>>, "one port"), distinctPorts("port")),
  type: v.nullish(type, "ClusterIP"),
  clusterIP: optional(clusterIp),
  clusterIPs: list(clusterIp),
  internalTrafficPolicy: optional(withoutEffect("internalTrafficPolicy", ["Cluster"])),
  ipFamilies: list(text),
  ipFamilyPolicy: optional(text),
  sessionAffinity: optional(withoutEffect("sessionAffinity", ["None"])),
}, [
  "allocateLoadBalancerNodePorts",
  "externalIPs",
  "externalName",
  "externalTrafficPolicy",
  "healthCheckNodePort",
  "loadBalancerClass",
  "loadBalancerIP",
  "loadBalancerSourceRanges",
  "publishNotReadyAddresses",
  "sessionAffinityConfig",
  "trafficDistribution",
], "Kubernetes");

export type ServiceSpec = Immutable<v.InferOutput<typeof serviceSpec>>;
