/** How much of the traffic each priority level gets, by how many of its endpoints are healthy (Envoy's priority levels). */

export interface Level {
  readonly endpoints: number;
  readonly healthy: number;
}

export interface LevelLoad {
  /** Share of the traffic; only their proportions count. */
  readonly load: number;
  /** So few are healthy that the unhealthy ones are used as well. */
  readonly panic: boolean;
}

/** A level counts as whole with 100/140 of its endpoints healthy, and only below that gives traffic away. */
const OVERPROVISIONING_PERCENT = 140;

/** `minHealthPercent`: Envoy's panic threshold; 0: none. All loads are 0 when nobody is healthy and there is no panic. */
export function levelLoads(levels: readonly Level[], minHealthPercent: number): LevelLoad[] {
  // One healthy endpoint among thousands is still somebody to ask.
  const health = levels.map(({ endpoints, healthy }) =>
    healthy === 0 ? 0 : Math.max(1, Math.min(100, Math.floor(OVERPROVISIONING_PERCENT * healthy / endpoints)))
  );
  const total = Math.min(100, health.reduce((sum, one) => sum + one, 0));
  // As long as the levels together can take everything, those that are broken are simply left out.
  const panic = levels.map(({ endpoints, healthy }) =>
    total < 100 && endpoints > 0 && 100 * healthy / endpoints < minHealthPercent
  );
  if (panic.some(Boolean) && levels.every(({ endpoints }, i) => endpoints === 0 || panic[i])) {
    return levels.map(({ endpoints }) => ({ load: endpoints, panic: true }));
  }
  let left = 100;
  const loads = health.map((one, i) => {
    const load = total === 0 ? 0 : Math.min(left, Math.floor(one * 100 / total));
    left -= load;
    return { load, panic: panic[i] as boolean };
  });
  // What rounding left over goes to the first that takes anything.
  const first = loads.findIndex(({ load }) => load > 0);
  return loads.map((one, i) => i === first ? { ...one, load: one.load + left } : one);
}

/** What is left of a locality's weight under `distribute` when some of its endpoints are not healthy. */
export function localityLoad(weight: number, { endpoints, healthy }: Level): number {
  return weight * Math.min(1, OVERPROVISIONING_PERCENT / 100 * healthy / endpoints);
}
