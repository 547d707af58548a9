/**
 * A cluster's endpoints in the groups that traffic is divided among before a balancer chooses: priority levels, or
 * localities with weights. Built anew when somebody's health changes; picking only reads.
 */
import type { Clock } from "../../../lib/clock.ts";
import type { Random } from "../../../lib/prng.ts";
import type { Cluster, Endpoint as EndpointData, Warmup } from "../../../model/cluster.ts";
import { type Balancer, type Candidate, NO_KEY } from "../balancer/balancer.ts";
import { createBalancer } from "../balancer/create_balancer.ts";
import { warmth } from "../health/warmup.ts";
import { type Level, levelLoads, localityLoad } from "./level_loads.ts";
import { distribution, type OwnPlace, priorities } from "./locality.ts";

export interface PoolMember extends Candidate {
  readonly endpoint: EndpointData;
  /** Neither ejected nor found unhealthy by its probe. */
  readonly isHealthy: boolean;
  /** Monotonic. */
  readonly healthySinceMs: number;
}

export interface PoolContext {
  readonly random: Random;
  readonly clock: Clock;
  readonly place: OwnPlace;
}

/** `weight`: of a locality; null for a priority level. */
interface Group<Member> {
  readonly weight: number | null;
  readonly members: readonly Member[];
  balancer: Balancer<Member & Candidate> | null;
  /** For retries, where it has no traffic otherwise; null: nobody asked yet. */
  spare: Balancer<Member & Candidate> | null;
}

export class EndpointPools<Member extends PoolMember> {
  readonly #cluster: Cluster;
  readonly #context: PoolContext;
  readonly #groups: readonly Group<Member>[];
  readonly #warmup: Warmup | null;
  /** The balancer that has all the traffic, if one has. */
  #only: Balancer<Member> | null = null;
  /** Those that have some of it otherwise, and the running sums of their loads. */
  #balancers: Balancer<Member>[] = [];
  #cumulative: number[] = [];
  /** Monotonic; from then on nobody is warming up. 0: nobody is. */
  #warmUntilMs = 0;

  /** Throws when the cluster's settings cannot be followed. `previous`: tables that still fit are taken over. */
  constructor(
    cluster: Cluster,
    members: readonly Member[],
    context: PoolContext,
    previous: EndpointPools<Member> | null,
  ) {
    this.#cluster = cluster;
    this.#context = context;
    this.#groups = group(cluster, members, context.place);
    const warms = cluster.balancer === "ROUND_ROBIN" || cluster.balancer === "LEAST_REQUEST";
    this.#warmup = warms ? cluster.warmup ?? null : null;
    if (previous !== null) {
      this.#groups.forEach((one, i) => one.balancer = previous.#groups[i]?.balancer ?? null);
    }
    this.refresh();
  }

  /** Null: nobody is there who may be asked. */
  pick(key: number): Member | null {
    if (this.#warmUntilMs !== 0 && this.#context.clock.monotonic() >= this.#warmUntilMs) this.refresh();
    if (this.#only !== null) return this.#only.pick(key);
    const last = this.#cumulative.length - 1;
    if (last < 0) return null;
    const ticket = this.#share(key) * (this.#cumulative[last] as number);
    let index = 0;
    while (index < last && ticket >= (this.#cumulative[index] as number)) index++;
    return (this.#balancers[index] as Balancer<Member>).pick(key);
  }

  /**
   * As `pick`, of priority levels in which none of `tried` is. Null: nobody is there, or there are no levels.
   */
  pickBeyond(tried: readonly Member[], key: number): Member | null {
    if (this.#groups.length < 2 || this.#groups[0]?.weight !== null) return null;
    const left = this.#groups.filter(({ members }) => !tried.some((one) => members.includes(one)));
    const levels = left.map(levelOf);
    const loads = levelLoads(levels, 0);
    const total = loads.reduce((sum, { load }) => sum + load, 0);
    let ticket = this.#share(key) * total;
    const index = loads.findIndex(({ load }) => (ticket -= load) < 0);
    const chosen = left[index];
    if (chosen === undefined) return null;
    chosen.spare ??= this.#balance(chosen.members.filter(({ isHealthy }) => isHealthy), null);
    return chosen.spare.pick(key);
  }

  /** Another one of its group that is well, and not avoided; null: there is none. */
  pickBeside(picked: Member, isAvoided: (member: Member) => boolean): Member | null {
    const group = this.#groups.find(({ members }) => members.includes(picked));
    const left = group?.members.filter((one) => one.isHealthy && !isAvoided(one)) ?? [];
    return left[this.#context.random.below(Math.max(1, left.length))] ?? null;
  }

  /** Somebody's health is not what it was. */
  refresh(): void {
    for (const one of this.#groups) one.spare = null;
    this.#warmUntilMs = this.#findWarmUntil();
    const loads = this.#loads();
    this.#balancers = [];
    this.#cumulative = [];
    let sum = 0;
    this.#groups.forEach((one, i) => {
      const { load, panic } = loads[i] as { load: number; panic: boolean };
      if (load <= 0) return;
      const members = panic ? one.members : one.members.filter(({ isHealthy }) => isHealthy);
      one.balancer = this.#balance(members, one.balancer);
      this.#balancers.push(one.balancer);
      this.#cumulative.push(sum += load);
    });
    this.#only = this.#balancers.length === 1 ? this.#balancers[0] as Balancer<Member> : null;
  }

  #balance(members: readonly Member[], previous: Balancer<Member> | null): Balancer<Member> {
    const { random, clock } = this.#context;
    const warmup = this.#warmup;
    const weigh = warmup === null || this.#warmUntilMs === 0
      ? null
      : (one: Member) => one.weight * warmth(clock.monotonic() - one.healthySinceMs, warmup);
    const { balancer, hash } = this.#cluster;
    return createBalancer(balancer, members, { random, weigh, hash, previous });
  }

  #loads(): { load: number; panic: boolean }[] {
    const minHealthPercent = this.#cluster.outlier?.minHealthPercent ?? 0;
    const levels = this.#groups.map(levelOf);
    if (this.#groups[0]?.weight === null) return levelLoads(levels, minHealthPercent);
    const endpoints = levels.reduce((sum, level) => sum + level.endpoints, 0);
    const healthy = levels.reduce((sum, level) => sum + level.healthy, 0);
    const panic = 100 * healthy / endpoints < minHealthPercent;
    return levels.map((level, i) => {
      const weight = this.#groups[i]?.weight ?? 0;
      return { load: panic ? weight : localityLoad(weight, level), panic };
    });
  }

  #findWarmUntil(): number {
    if (this.#warmup === null) return 0;
    const sinceMs = this.#groups.reduce(
      (latest, { members }) => members.reduce((most, one) => Math.max(most, one.healthySinceMs), latest),
      -Infinity,
    );
    const untilMs = sinceMs + this.#warmup.durationMs;
    return untilMs > this.#context.clock.monotonic() ? untilMs : 0;
  }

  /** Equal keys go to the same group; which one tells nothing about their place in the group's own table. */
  #share(key: number): number {
    return key === NO_KEY ? this.#context.random.float() : (Math.imul(key, 0x9e3779b1) >>> 0) / 4_294_967_296;
  }
}

function levelOf({ members }: Group<PoolMember>): Level {
  const healthy = members.reduce((count, { isHealthy }) => count + Number(isHealthy), 0);
  return { endpoints: members.length, healthy };
}

function group<Member extends PoolMember>(
  { locality, outlier }: Cluster,
  members: readonly Member[],
  place: OwnPlace,
): Group<Member>[] {
  if (members.length === 0) return [];
  const endpoints = members.map(({ endpoint }) => endpoint);
  const whole = [{ weight: null, members, balancer: null, spare: null }];
  if (!locality) return whole;
  if (locality.distribute.length > 0) {
    const groups = distribution(endpoints, place, locality);
    return groups?.map(({ weight, members: indexes }) => ({
      weight,
      members: indexes.map((i) => members[i] as Member),
      balancer: null,
      spare: null,
    })) ?? whole;
  }
  // Nobody is found unhealthy without it, and nothing would ever go to a lower level.
  if (outlier === undefined) return whole;
  const levels = priorities(endpoints, place, locality);
  const count = levels.reduce((most, level) => Math.max(most, level), 0) + 1;
  return Array.from({ length: count }, (_, level) => ({
    weight: null,
    members: members.filter((_, i) => levels[i] === level),
    balancer: null,
    spare: null,
  }));
}
