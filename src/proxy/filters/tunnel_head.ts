/** How an HTTP proxy is asked to carry bytes on (DestinationRule `tunnel`). */
import type { Cluster } from "../../model/cluster.ts";
import { BODY_LENGTH_UNKNOWN, type RequestHead } from "../exchange.ts";
import { connectHead } from "../tcp/server_connection.ts";

/** By CONNECT, or by POST for proxies that take no other: then the bytes are the bodies, both ways. */
export function tunnelHead({ method, authority }: NonNullable<Cluster["tunnel"]>): RequestHead {
  const head = connectHead(authority);
  if (method === "CONNECT") return head;
  return { ...head, method, path: "/", bodyLength: BODY_LENGTH_UNKNOWN, tunnel: null };
}
