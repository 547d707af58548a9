/** What a gateway does with a request from outside: the port, the server that TLS asks for, then hosts or bytes. */
import { parseIp } from "../../lib/ip.ts";
import { isSocket } from "../../model/bind.ts";
import type { RequestHead } from "../exchange.ts";
import { edgeHost, HTTPS_REDIRECT } from "../filters/gateway.ts";
import { type CompiledChain, GatewayTable } from "../route/gateway_table.ts";
import { redirectLocation } from "../route/redirect.ts";
import { type CompiledVirtualHost, RouteTable } from "../route/route_table.ts";
import { type BytesVerdict, bytesVerdict } from "./bytes.ts";
import type { MeshView } from "./mesh_view.ts";
import { quote } from "./quote.ts";
import type { ExplainScheme } from "./request.ts";

/** What is found before any rule is looked at; each `why` is a clause. */
export type GatewayVerdict =
  /** Rules of a host decide. */
  | { readonly type: "host"; readonly found: CompiledVirtualHost<null> }
  /** Rules of `tls` or `tcp` decide about `what`. */
  | { readonly type: "bytes"; readonly found: BytesVerdict; readonly what: string }
  | { readonly type: "redirect"; readonly location: string; readonly service: string; readonly why: string }
  /** 404. */
  | { readonly type: "not-found"; readonly why: string }
  /** There is no connection on which it could be asked. */
  | { readonly type: "refused"; readonly why: string };

/** Bytes always name one. */
const DEFAULT_PORTS = { http: 80, https: 443, tcp: 0 } as const;

/** The port at which a request comes that names none, or one. */
export function gatewayPort(scheme: ExplainScheme, { authority }: Pick<RequestHead, "authority">): number {
  return Number(/:([0-9]+)$/.exec(authority)?.[1] ?? DEFAULT_PORTS[scheme]);
}

/** `scheme` is that of the connection. Of several listeners at one port, on addresses of their own, the first is asked. */
export function gatewayVerdict(
  { gatewayListeners, virtualHosts }: MeshView,
  scheme: ExplainScheme,
  head: RequestHead,
): GatewayVerdict {
  const port = gatewayPort(scheme, head);
  const listener = gatewayListeners.find((one) => one.port === port);
  if (listener === undefined) {
    const [sockets, numbered] = [
      gatewayListeners.filter(isSocket),
      gatewayListeners.filter((one) => !isSocket(one)),
    ];
    const ports = [...new Set(numbered.map((one) => one.port))].sort((a, b) => a - b);
    const there = [...ports, ...sockets.map(({ name }) => name)].join(", ");
    return { type: "refused", why: `the gateway has no port ${port}; it has ${there}` };
  }
  const table = new GatewayTable<null>(listener, () => null);
  const host = edgeHost(head.authority);
  if (scheme !== "https" && table.plain === null) {
    return { type: "refused", why: `port ${port} of the gateway speaks TLS alone` };
  }
  if (scheme === "https" && table.plain !== null && table.plain.chain.table !== null) {
    return { type: "refused", why: `port ${port} of the gateway is in plain text` };
  }
  const chain = table.plain ?? table.byServerName(host);
  if (chain === undefined) {
    return { type: "refused", why: `no server at port ${port} of the gateway has the name ${quote(host)}` };
  }
  if (chain.chain.table === null) return atBytes(chain, scheme === "https" ? host : null, host, port);
  if (scheme === "tcp") return { type: "refused", why: `port ${port} of the gateway carries requests` };
  const hosts = virtualHosts.filter((one) => one.table === chain.chain.table);
  const found = new RouteTable<null>(hosts, () => null).virtualHost(host);
  if (found === undefined) {
    return {
      type: "not-found",
      why: `no VirtualService routes ${quote(host)} at port ${port} of the gateway`,
    };
  }
  const { requiresTls = false, service } = found.virtualHost;
  if (!requiresTls || head.scheme === "https") return { type: "host", found };
  const location = redirectLocation(HTTPS_REDIRECT, head, null);
  return { type: "redirect", location, service: service.host, why: "the Gateway says httpsRedirect" };
}

function atBytes(
  { routes, chain }: CompiledChain<null>,
  serverName: string | null,
  host: string,
  port: number,
): GatewayVerdict {
  const address = parseIp(host) === null ? null : host;
  const what = serverName === null ? "bytes" : `TLS for ${quote(serverName)}`;
  return {
    type: "bytes",
    found: bytesVerdict(routes, chain.skipped, serverName, address),
    what: `${what} at port ${port} of the gateway`,
  };
}
