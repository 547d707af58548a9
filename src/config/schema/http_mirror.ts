/** Mirrors: where copies of requests go, whose answers nobody waits for. */
import * as v from "valibot";
import { destination } from "./destination.ts";
import { fields, list, optional } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { percentage, wholePercent } from "./numbers.ts";

/** Of a mirror whose share is not given; an explicit 0 is none. */
const MIRROR_PERCENTAGE_DEFAULT = 100;

/** Istio's Percent as a number; an empty one is 0. */
const share = v.pipe(fields({ value: v.nullish(percentage, 0) }), v.transform(({ value }) => value));

const mirror = fields({ destination, percentage: v.nullish(share, { value: MIRROR_PERCENTAGE_DEFAULT }) });

export type HttpMirror = Immutable<v.InferOutput<typeof mirror>>;

/** The fields of a rule that are about mirrors, as written. */
export const mirrorFields = {
  mirror: optional(destination),
  mirrorPercentage: optional(share),
  /** Deprecated by the one above. */
  mirrorPercent: optional(wholePercent),
  mirrors: list(mirror),
};

interface Written {
  readonly mirror: HttpMirror["destination"] | null;
  readonly mirrorPercentage: number | null;
  readonly mirrorPercent: number | null;
}

/** The one mirror of `mirror` with its share. */
export function singleMirror({ mirror, mirrorPercentage, mirrorPercent }: Written): HttpMirror | null {
  if (mirror === null) return null;
  return { destination: mirror, percentage: mirrorPercentage ?? mirrorPercent ?? MIRROR_PERCENTAGE_DEFAULT };
}
