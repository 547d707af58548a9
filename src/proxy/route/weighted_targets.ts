/** What a rule leads to, chosen by weight. */
import type { Random } from "../../lib/prng.ts";
import type { WeightedCluster } from "../../model/route.ts";

/** `Target` is null for a cluster that the snapshot does not have. */
export interface WeightedTargets<Target> {
  readonly targets: readonly (Target | null)[];
  /** Running sums of the weights, one for each target. */
  readonly cumulative: readonly number[];
}

/** The clusters of destinations with the running sums of their weights. */
export function weightedTargets<Target>(
  destinations: readonly WeightedCluster[],
  find: (cluster: string) => Target | null,
): WeightedTargets<Target> {
  return {
    targets: destinations.map((destination) => find(destination.cluster)),
    cumulative: runningSums(destinations),
  };
}

export function runningSums(destinations: readonly WeightedCluster[]): readonly number[] {
  let sum = 0;
  return destinations.map(({ weight }) => sum += weight);
}

/** One of the targets, by weight. */
export function pickTarget<Target>(
  { targets, cumulative }: WeightedTargets<Target>,
  random: Random,
): Target | null {
  return targets[pickIndex(cumulative, random)] as Target | null;
}

/** An index, by running sums of weights; a single one is always taken. */
export function pickIndex(cumulative: readonly number[], random: Random): number {
  if (cumulative.length === 1) return 0;
  const ticket = random.below(cumulative[cumulative.length - 1] as number);
  let index = 0;
  while (ticket >= (cumulative[index] as number)) index++;
  return index;
}
