/** PeerAuthentication (security.istio.io): whether a workload takes calls in plain text. */
import { PORT_MAX } from "../../model/ports.ts";
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, map, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { wrong } from "./problem.ts";
import { isPortText, labels, oneOf } from "./scalars.ts";

const MODES = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] as const;

/** UNSET leaves it to whoever speaks for more: the namespace, the mesh. */
const mutualTls = fields({ mode: v.nullish(oneOf(MODES, "a mode"), "UNSET") });

const port = v.pipe(
  v.string(),
  v.check(
    isPortText,
    wrong(`a port of the workload is a whole number from 1 to ${PORT_MAX}`),
  ),
);

const written = fields({
  /** Null: every workload of the namespace, or of the mesh where it stands in the root namespace. */
  selector: optional(fields({ matchLabels: labels })),
  mtls: optional(mutualTls),
  /** By the workload's own port. */
  portLevelMtls: map(mutualTls as Schema<v.InferOutput<typeof mutualTls>>, port),
});

type Written = v.InferOutput<typeof written>;

export const peerAuthenticationSpec = v.pipe(
  written,
  across(function* ({ selector, portLevelMtls }: Written): Generator<Fault> {
    const selects = selector !== null && Object.keys(selector.matchLabels).length > 0;
    if (selects || Object.keys(portLevelMtls).length === 0) return;
    const message = wrong("ports belong to workloads", "add a selector with labels");
    yield { message, at: ["portLevelMtls"] };
  }),
);

export type PeerAuthenticationSpec = Immutable<Written>;
export type MutualTlsMode = NonNullable<PeerAuthenticationSpec["mtls"]>["mode"];
