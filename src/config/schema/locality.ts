/** LocalityLoadBalancerSetting: how a caller's region, zone and subzone decide between endpoints. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, list, map, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { PERCENT_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";

const PARTS_MAX = 3;

/** `region`, `region/zone` or `region/zone/subzone`; the last part may be `*`. */
const locality: Schema<string> = v.pipe(
  v.string(),
  v.check(
    isLocality,
    wrong('{} is not a locality; write "region/zone/subzone", with "*" at its end if need be'),
  ),
);

const region: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => isLocality(name) && !name.includes("*"),
    wrong('{} is not a region; write "region", "region/zone" or "region/zone/subzone"'),
  ),
);

const share = wholeNumber("a locality's weight", 1, PERCENT_MAX);

const written = fields({
  /** Null: as the mesh says. */
  enabled: optional(v.boolean() as Schema<boolean>),
  /** From each locality, the percentages that go to others. */
  distribute: list(fields({ from: locality, to: map(share, locality as v.GenericSchema<string, string>) })),
  /** Where the traffic of a locality goes that has no healthy endpoint. */
  failover: list(fields({ from: region, to: region })),
  /** Labels, `KEY` or `KEY=VALUE`: the more of them in order an endpoint shares, the sooner it is taken. */
  failoverPriority: list(v.pipe(v.string(), v.nonEmpty(wrong("a label has a name")))),
});

export const localityLbSetting = v.pipe(written, across(faults));

export type LocalityLbSetting = Immutable<v.InferOutput<typeof localityLbSetting>>;

function* faults(
  { distribute, failover, failoverPriority }: v.InferOutput<typeof written>,
): Generator<Fault> {
  const ways = Object.entries({ distribute, failover, failoverPriority }).filter(([, items]) =>
    items.length > 0
  );
  if (ways.length > 1) {
    yield { message: wrong(`has ${ways.map(([name]) => name).join(" and ")}; only one can hold`), at: [] };
  }
  for (const [index, { from, to }] of distribute.entries()) {
    const sum = Object.values(to).reduce((total, weight) => total + weight, 0);
    const at = ["distribute", index, "to"];
    if (sum !== PERCENT_MAX) yield { message: wrong(`the weights add up to ${sum}, and must to 100`), at };
    const clash = overlapping(Object.keys(to));
    if (clash !== undefined) yield { message: wrong(`"${clash[0]}" and "${clash[1]}" overlap`), at };
    const others = distribute.slice(0, index).map((earlier) => earlier.from);
    if (overlapping([from, ...others]) === undefined) continue;
    yield {
      message: wrong("{} overlaps with another locality of the list"),
      at: ["distribute", index, "from"],
    };
  }
  for (const [index, { from, to }] of failover.entries()) {
    if (from !== to) continue;
    yield { message: wrong("{} fails over to itself"), at: ["failover", index, "to"] };
  }
}

function overlapping(localities: readonly string[]): [string, string] | undefined {
  for (const [index, one] of localities.entries()) {
    const other = localities.slice(index + 1).find((later) => covers(one, later) || covers(later, one));
    if (other !== undefined) return [one, other];
  }
  return undefined;
}

/** `region` and `region/*` cover `region/zone`. */
function covers(wide: string, narrow: string): boolean {
  const stem = wide.replace(/\/?\*$/, "");
  return stem === "" || narrow === stem || narrow.startsWith(`${stem}/`);
}

function isLocality(text: string): boolean {
  const parts = text.split("/");
  return parts.length <= PARTS_MAX &&
    parts.every((part, index) =>
      part !== "" && (!part.includes("*") || (part === "*" && index === parts.length - 1))
    );
}
