/** A data plane whose one virtual host has a route of the test's making, and a second service for mirrors and splits. */
import {
  type ForwardAction,
  RETRY_POLICY_DEFAULT,
  type RetryPolicy,
  type Route,
} from "../../../src/model/route.ts";
import { clusterName } from "../../../src/model/cluster.ts";
import { cluster, DataPlane, endpoint, SERVICE, settings, snapshotOf, virtualHost } from "./data_plane.ts";
import type { FakeConnection } from "./fake_network.ts";

/** Endpoints of the service itself, and of `other`, whose one endpoint is 192.0.2.9. */
export const OTHER_CLUSTER = clusterName(80, null, "other.test");

export function forward(more: Partial<ForwardAction> = {}): ForwardAction {
  return { type: "forward", destinations: [{ cluster: cluster().name, weight: 1 }], ...more };
}

export function retries(more: Partial<RetryPolicy>): RetryPolicy {
  return { ...RETRY_POLICY_DEFAULT, ...more };
}

export function routedPlane(route: Partial<Route>, endpoints = 1, mesh = false): DataPlane {
  const routes = [{ name: null, origin: null, matches: [], action: forward(), ...route }];
  const other = { ...SERVICE, host: "other.test", name: "other" };
  return new DataPlane(snapshotOf(
    settings(),
    virtualHost({ routes }),
    cluster(),
    cluster({ name: OTHER_CLUSTER, service: other }),
    {
      kind: "endpoints",
      name: cluster().name,
      endpoints: Array.from({ length: endpoints }, (_, i) => endpoint(i + 1, mesh)),
    },
    { kind: "endpoints", name: OTHER_CLUSTER, endpoints: [endpoint(9)] },
  ));
}

/** Accepts the connection that was asked for last. */
export function accepted(plane: DataPlane): FakeConnection {
  return plane.network.last.accept();
}
