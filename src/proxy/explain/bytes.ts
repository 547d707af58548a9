/** Connections of which no request is read, in the words in which requests are explained. */
import { RETRY_POLICY_DEFAULT } from "../../model/route.ts";
import { edgeHost } from "../filters/gateway.ts";
import { type CompiledRoute, compileRoute } from "../route/compiled_route.ts";
import { ListenerTable } from "../route/listener_table.ts";
import { type CompiledTcpRoute, findTcpRoute } from "../route/tcp_route.ts";
import type { MeshView } from "./mesh_view.ts";

/** Where a sidecar sends TLS that its own program speaks. */
export interface BytesVerdict {
  /** The service that has the name. */
  readonly service: string;
  readonly port: number;
  /** Null: its rules are for other names. */
  readonly route: CompiledRoute<null> | null;
}

/** Null: no service that reads no requests has the name at that port. */
export function tlsVerdict({ listeners }: MeshView, authority: string, port: number): BytesVerdict | null {
  const table = new ListenerTable<null, never>(listeners.values(), { find: () => null, members: () => [] });
  const name = edgeHost(authority);
  const found = table.byServerName(name, port);
  if (found === undefined) return null;
  const route = findTcpRoute(found.routes, name, null);
  return {
    service: found.listener.service.host,
    port: found.listener.port,
    route: route === undefined ? null : routeOfBytes(route),
  };
}

/** Bytes are sent once. */
export function routeOfBytes(
  { route: { origin, destinations } }: CompiledTcpRoute<null>,
): CompiledRoute<null> {
  const retries = { ...RETRY_POLICY_DEFAULT, attempts: 0 };
  return compileRoute(
    { name: null, origin, matches: [], action: { type: "forward", destinations, retries } },
    () => null,
  );
}
