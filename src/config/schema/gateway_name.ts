/** How VirtualServices name the gateways that they apply to. */
import * as v from "valibot";
import { isHostName } from "../host.ts";
import type { Schema } from "./fields.ts";
import { wrong } from "./problem.ts";

/** The gateway that stands for all sidecars. */
export const MESH_GATEWAY = "mesh";

const NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** `mesh`, `NAME` or `./NAME` of the same namespace, `NAMESPACE/NAME`, or the older `NAME.NAMESPACE.svc.cluster.local`. */
export const gatewayName: Schema<string> = v.pipe(
  v.string(),
  v.check(
    isGatewayName,
    wrong(
      "{} is not the name of a gateway",
      'write "NAMESPACE/NAME", "NAME" for the same namespace, or "mesh"',
    ),
  ),
);

/** `NAMESPACE/NAME` of a gateway that a resource of `namespace` names; `mesh` stays as it is. */
export function resolveGateway(written: string, namespace: string): string {
  if (written.startsWith("./")) return `${namespace}/${written.slice(2)}`;
  if (written === MESH_GATEWAY || written.includes("/")) return written;
  const [name, ofNamespace] = written.split(".");
  return ofNamespace === undefined ? `${namespace}/${written}` : `${ofNamespace}/${name}`;
}

function isGatewayName(text: string): boolean {
  const [first, second, ...rest] = text.split("/");
  if (first === undefined || rest.length > 0) return false;
  return second === undefined ? isHostName(first) : (first === "." || LABEL.test(first)) && NAME.test(second);
}
