/**
 * Claims of a token, named among headers as Istio names them: `@request.auth.claims.a.b` and `@request.auth.claims[a][b]`
 * are the claim b within a. In a snapshot it is always the second form.
 */

const PREFIX = "@request.auth.claims";

export function isClaimName(name: string): boolean {
  return name.startsWith("@");
}

/** The claim's keys, from the outside in; null: the name is none of a claim. */
export function claimKeys(name: string): readonly string[] | null {
  if (!name.startsWith(PREFIX)) return null;
  const rest = name.slice(PREFIX.length);
  const keys = /^\[.*\]$/.test(rest)
    ? rest.slice(1, -1).split("][")
    : /^\.[^\[\]]*$/.test(rest)
    ? rest.slice(1).split(".")
    : [""];
  return keys.includes("") ? null : keys;
}

export function claimName(keys: readonly string[]): string {
  return `${PREFIX}[${keys.join("][")}]`;
}
