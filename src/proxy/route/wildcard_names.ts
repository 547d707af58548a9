/** Names of hosts by wildcards: `*.example.com`, `*-dev.example.com`, and `*` for all. */

/** Whether any of the names is a wildcard within a label, which few have and which is looked for at more places. */
export function hasLabelWildcard(names: Iterable<string>): boolean {
  for (const name of names) if (name.startsWith("*-")) return true;
  return false;
}

/** What stands under the longest wildcard that a name, lower case, falls under; `*` is not among those looked for. */
export function findByWildcard<Value>(
  byName: { get(name: string): Value | undefined },
  name: string,
  withinLabels: boolean,
): Value | undefined {
  for (let at = nextEnd(name, 0, withinLabels); at > 0; at = nextEnd(name, at, withinLabels)) {
    const found = byName.get(`*${name.slice(at)}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where what a wildcard stands for may end, after some place; -1: nowhere. */
function nextEnd(name: string, after: number, withinLabels: boolean): number {
  const dot = name.indexOf(".", after + 1);
  const dash = withinLabels ? name.indexOf("-", after + 1) : -1;
  return dash < 0 || (dot >= 0 && dot < dash) ? dot : dash;
}
