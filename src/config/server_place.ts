/** Where the server of a Gateway listens. */
import { isSocket } from "../model/bind.ts";
import type { GatewayServer } from "./schema/gateway.ts";

type Place = Pick<GatewayServer, "bind" | "port">;

/** Servers that are called alike share a listener. */
export function listenerName({ bind, port }: Place): string {
  return isSocket({ bind }) ? bind as string : `${bind ?? ""}:${port.number}`;
}

/** In words. */
export function placeOf({ bind, port }: Place): string {
  return isSocket({ bind }) ? `socket ${bind}` : `port ${port.number}`;
}
