/** Gateway (networking.istio.io): the ports at which the gateways that it selects take in traffic. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, listOfSome, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { gatewayPort, listenerBind, numberFaults, type PortProtocol } from "./l4_port.ts";
import { wrong } from "./problem.ts";
import { labels, text } from "./scalars.ts";
import { gatewayHost } from "./scoped_host.ts";
import { serverTls } from "./server_tls.ts";

const HTTP: readonly PortProtocol[] = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];
const TLS: readonly PortProtocol[] = ["HTTPS", "TLS"];

const server = fields({
  name: text,
  port: gatewayPort,
  /** An IP address or `unix:///PATH`; null: the gateway's own address. */
  bind: optional(listenerBind),
  /** The namespace is that of the VirtualServices that may name the host. */
  hosts: listOfSome(gatewayHost, "one host"),
  tls: optional(serverTls as Schema<v.InferOutput<typeof serverTls>>),
}, ["defaultEndpoint"]);

const written = fields({
  /** Labels of gateways, of whatever namespace; empty is all of them. */
  selector: labels,
  servers: listOfSome(server, "one server"),
});

type Written = v.InferOutput<typeof written>;

export const gatewaySpec = v.pipe(written, across(faults));

export type GatewaySpec = Immutable<Written>;
export type GatewayServer = GatewaySpec["servers"][number];

function* faults({ servers }: Written): Generator<Fault> {
  for (const [index, { port, tls, bind }] of servers.entries()) {
    yield* numberFaults(port.number, bind, ["servers", index, "port"]);
    const same = servers.slice(0, index).some((earlier) => earlier.port.name === port.name);
    if (same) {
      yield {
        message: wrong(`the port name "${port.name}" is used twice`),
        at: ["servers", index, "port", "name"],
      };
    }
    const at = ["servers", index];
    if (TLS.includes(port.protocol)) {
      if (tls === null) yield { message: wrong(`${port.protocol} needs tls: with a mode`), at };
    } else if (tls !== null && !HTTP.includes(port.protocol)) {
      yield {
        message: wrong(`${port.protocol} has no TLS`, "use the protocol TLS or HTTPS"),
        at: [...at, "tls"],
      };
    } else if (tls !== null && tls.mode !== "PASSTHROUGH") {
      const message = wrong(
        `${port.protocol} is plain; only httpsRedirect is of use`,
        "use the protocol HTTPS",
      );
      yield { message, at: [...at, "tls"] };
    }
  }
}
