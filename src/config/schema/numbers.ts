/** Numbers, percentages and durations, as the messages of Istio's API have them. */
import * as v from "valibot";
import { parseDuration } from "../../lib/duration.ts";
import type { Schema } from "./fields.ts";
import { wrong } from "./problem.ts";

/** A duration in a spec: whole milliseconds. Files write it as Go does, `1h30m` or `250ms`. */
export type Milliseconds = number;

/** Istio's precision, and the shortest duration that it takes. */
const DURATION_MS_MIN = 1;

/** The longest of protobuf's durations: 10,000 years. */
const DURATION_MS_MAX = 315_576_000_000_000;

/** int32, the type of most numbers in Istio's API. */
export const INT32_MAX = 2_147_483_647;

/** uint32, the type of the others; as the limit of a pool it means that there is none. */
export const UINT32_MAX = 4_294_967_295;

export const PERCENT_MAX = 100;

/** At least a millisecond. */
export const duration: Schema<Milliseconds> = durationFrom(DURATION_MS_MIN);

/** At least a millisecond, or 0 where that has a meaning of its own. */
export const durationOrZero: Schema<Milliseconds> = durationFrom(0);

/** A whole number within bounds; `what` begins the message: "a weight". */
export function wholeNumber(what: string, min: number, max: number): Schema<number> {
  return v.pipe(
    v.number(),
    v.check(
      (value) => Number.isInteger(value) && value >= min && value <= max,
      wrong(`${what} is a whole number from ${min} to ${max}`),
    ),
  );
}

/** The least share that is not 0, as in Istio: one in a million. */
const PERCENTAGE_MIN = 0.0001;

/** 0 to 100, with fractions. */
export const percentage: Schema<number> = v.pipe(
  v.number(),
  v.check(
    (value) => value === 0 || (value >= PERCENTAGE_MIN && value <= PERCENT_MAX),
    wrong(`a percentage is 0, or a number from ${PERCENTAGE_MIN} to ${PERCENT_MAX}`),
  ),
);

/** 0 to 100, without fractions. */
export const wholePercent: Schema<number> = wholeNumber("a percentage", 0, PERCENT_MAX);

function durationFrom(min: 0 | 1): Schema<Milliseconds> {
  const noDuration = wrong("{} is not a duration", 'write for instance "5s", "250ms" or "1h30m"');
  const least = min === 0 ? "0s, or at least 1ms" : "at least 1ms";
  return v.pipe(
    v.string(noDuration),
    v.check((text) => parseDuration(text) !== undefined, noDuration),
    v.check(
      (text) => isWithin(parseDuration(text) ?? min, min),
      wrong(`a duration is ${least}, in whole milliseconds`),
    ),
    v.transform((text) => parseDuration(text) as Milliseconds),
  );
}

function isWithin(ms: number, min: number): boolean {
  return Number.isInteger(ms) && ms >= min && ms <= DURATION_MS_MAX;
}
