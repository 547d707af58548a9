/** IST0118: a Service's port whose name does not say what is spoken there. */
import { CODES } from "../codes.ts";
import { type Analyzer, notice } from "./analyzer.ts";

/** Prefixes of a port's name that Istio takes for a protocol. */
const PROTOCOLS: ReadonlySet<string> = new Set([
  "grpc",
  "http",
  "http2",
  "https",
  "mongo",
  "mysql",
  "redis",
  "tcp",
  "tls",
  "udp",
]);

export const portNames: Analyzer = function* ({ services }) {
  for (const resource of services) {
    for (const [index, { name, appProtocol }] of resource.spec.ports.entries()) {
      // `grpc-web` has its hyphen within, and is found as grpc all the same.
      if (appProtocol !== null || PROTOCOLS.has(name.split("-")[0] ?? "")) continue;
      const what = name === "" ? "a port without a name" : `the port name "${name}"`;
      yield notice(
        CODES.portName,
        resource,
        ["spec", "ports", index, ...(name === "" ? [] : ["name"])],
        `${what} does not say what is spoken there, so it is taken for HTTP`,
        'use PROTOCOL or PROTOCOL-SUFFIX, for instance "http-web", or set appProtocol',
      );
    }
  }
};
