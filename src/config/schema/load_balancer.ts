/** LoadBalancerSettings: how a caller chooses among the endpoints of a cluster. */
import { isPrime } from "../../lib/prime.ts";
import * as v from "valibot";
import { fields, list, optional, type Schema } from "./fields.ts";
import { headerName, isToken } from "./header_operations.ts";
import type { Immutable } from "./immutable.ts";
import { localityLbSetting } from "./locality.ts";
import { duration, durationOrZero, type Milliseconds, wholeNumber, wholePercent } from "./numbers.ts";
import { wrong } from "./problem.ts";

/** Istio's names, without the deprecated one, and `UNSPECIFIED`, which means the default. */
export type SimpleBalancer = "LEAST_REQUEST" | "ROUND_ROBIN" | "RANDOM" | "PASSTHROUGH";

const SIMPLE: Readonly<Record<string, SimpleBalancer>> = {
  UNSPECIFIED: "LEAST_REQUEST",
  LEAST_REQUEST: "LEAST_REQUEST",
  // Istio's deprecated name for the same.
  LEAST_CONN: "LEAST_REQUEST",
  ROUND_ROBIN: "ROUND_ROBIN",
  RANDOM: "RANDOM",
  PASSTHROUGH: "PASSTHROUGH",
};

const RING_SIZE_DEFAULT = 1_024;
/** Envoy's `maximum_ring_size`. */
export const RING_SIZE_MAX = 8_388_608;
const MAGLEV_TABLE_SIZE_DEFAULT = 65_537;
/** Envoy's; the greatest prime below it is the greatest table. */
export const MAGLEV_TABLE_SIZE_LIMIT = 5_000_011;

/** What a request is hashed by. */
export type HashKey =
  | { readonly type: "header"; readonly name: string }
  | {
    readonly type: "cookie";
    readonly name: string;
    readonly path: string;
    /** Null: no cookie is made for a request without one; 0: one that ends with the browser's session. */
    readonly ttl: Milliseconds | null;
    readonly attributes: readonly { readonly name: string; readonly value: string }[];
  }
  | { readonly type: "sourceIp" }
  | { readonly type: "queryParameter"; readonly name: string };

export type HashAlgorithm =
  | { readonly type: "ringHash"; readonly minimumRingSize: number }
  | { readonly type: "maglev"; readonly tableSize: number };

export interface ConsistentHash {
  readonly key: HashKey;
  readonly algorithm: HashAlgorithm;
}

const simple: Schema<SimpleBalancer> = v.pipe(
  v.string(),
  v.check(
    (name) => Object.hasOwn(SIMPLE, name),
    wrong("{} is not a load balancer; one of LEAST_REQUEST, ROUND_ROBIN, RANDOM, PASSTHROUGH"),
  ),
  v.transform((name) => SIMPLE[name] as SimpleBalancer),
);

/** Nothing in it may end the attribute, or the header (RFC 6265 §4.1.1). */
const cookieText: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (value) => /^[\x20-\x3a\x3c-\x7e]*$/.test(value),
    wrong('{} has a character that no cookie may have, such as ";"'),
  ),
);

const httpCookie = fields({
  name: v.pipe(v.string(), v.check(isToken, wrong("{} is not the name of a cookie"))),
  path: v.nullish(cookieText, ""),
  ttl: optional(durationOrZero),
  attributes: list(fields({
    name: v.pipe(v.string(), v.check(isToken, wrong("{} is not the name of a cookie's attribute"))),
    value: v.nullish(cookieText, ""),
  })),
});

const ringSize = wholeNumber("a ring's size", 0, RING_SIZE_MAX);

const tableSize: Schema<number> = v.pipe(
  v.number(),
  v.check(
    (size) => size < MAGLEV_TABLE_SIZE_LIMIT && isPrime(size),
    wrong(`a table's size is a prime number below ${MAGLEV_TABLE_SIZE_LIMIT}`),
  ),
);

const hashFields = fields({
  httpHeaderName: optional(headerName),
  httpCookie: optional(httpCookie),
  useSourceIp: v.nullish(v.boolean(), false),
  httpQueryParameterName: optional(v.pipe(v.string(), v.nonEmpty(wrong("a query parameter needs a name")))),
  ringHash: optional(fields({ minimumRingSize: v.nullish(ringSize, 0) })),
  maglev: optional(fields({ tableSize: v.nullish(tableSize, MAGLEV_TABLE_SIZE_DEFAULT) })),
  /** Deprecated by `ringHash`. */
  minimumRingSize: v.nullish(ringSize, 0),
});

type HashFields = v.InferOutput<typeof hashFields>;

const consistentHash: Schema<ConsistentHash> = v.pipe(
  hashFields,
  v.check(
    (hash) => keysOf(hash).length === 1,
    wrong("needs exactly one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName"),
  ),
  v.check(
    ({ ringHash, maglev, minimumRingSize }) =>
      [ringHash !== null, maglev !== null, minimumRingSize > 0].filter(Boolean).length <= 1,
    wrong("has more than one of ringHash, maglev and minimumRingSize"),
  ),
  v.transform((hash): ConsistentHash => ({ key: keysOf(hash)[0] as HashKey, algorithm: algorithmOf(hash) })),
);

const warmup = fields({
  duration,
  /** Of an endpoint's weight, at its beginning. */
  minimumPercent: v.nullish(wholePercent, 10),
  /** 1 is linear growth. */
  aggression: v.nullish(
    v.pipe(
      v.number(),
      v.check((value) => value >= 1 && Number.isFinite(value), wrong("aggression is at least 1")),
    ),
    1,
  ),
});

const written = fields({
  simple: optional(simple),
  consistentHash: optional(consistentHash),
  localityLbSetting: optional(localityLbSetting),
  warmup: optional(warmup),
  /** Deprecated by `warmup`. */
  warmupDurationSecs: optional(duration),
});

/** In what comes out, `consistentHash` goes before `simple` where it is not null. */
export const loadBalancer = v.pipe(
  written,
  v.check(
    ({ simple, consistentHash }) => simple === null || consistentHash === null,
    wrong("has both simple and consistentHash; only one can choose"),
  ),
  v.check(
    ({ warmup, warmupDurationSecs }) => warmup === null || warmupDurationSecs === null,
    wrong("has both warmup and warmupDurationSecs", "remove the second, which is deprecated"),
  ),
  v.transform(({ warmupDurationSecs, ...settings }) => ({
    ...settings,
    simple: settings.simple ?? "LEAST_REQUEST" as const,
    warmup: settings.warmup ??
      (warmupDurationSecs === null
        ? null
        : { duration: warmupDurationSecs, minimumPercent: 10, aggression: 1 }),
  })),
);

export type LoadBalancer = Immutable<v.InferOutput<typeof loadBalancer>>;
export type Warmup = NonNullable<LoadBalancer["warmup"]>;

function keysOf({ httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName }: HashFields): HashKey[] {
  const keys: HashKey[] = [];
  if (httpHeaderName !== null) keys.push({ type: "header", name: httpHeaderName });
  if (httpCookie !== null) keys.push({ type: "cookie", ...httpCookie });
  if (useSourceIp) keys.push({ type: "sourceIp" });
  if (httpQueryParameterName !== null) keys.push({ type: "queryParameter", name: httpQueryParameterName });
  return keys;
}

function algorithmOf({ ringHash, maglev, minimumRingSize }: HashFields): HashAlgorithm {
  if (maglev !== null) return { type: "maglev", tableSize: maglev.tableSize };
  const size = ringHash?.minimumRingSize || minimumRingSize || RING_SIZE_DEFAULT;
  return { type: "ringHash", minimumRingSize: size };
}
