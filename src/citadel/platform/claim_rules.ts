/** Which workload the claims of a verified token mean, by the operator's rules. */
import {
  type ClaimPath,
  type ClaimTemplate,
  formatClaimPath,
} from "../../config/enrolment/claim_template.ts";
import type { ClaimCondition, PlatformRule } from "../../config/enrolment/enrolment_file.ts";

export type Claims = Readonly<Record<string, unknown>>;

/** Whom a token is for, still to be held against the files. One of workload and group is there. */
export interface MeantWorkload {
  readonly workload: string | undefined;
  readonly group: string | undefined;
}

/** Whom a token is for: nobody. `why` is a clause for the operator. */
export interface NobodyMeant {
  readonly why: string;
}

/** What a claim may put into a name. Never a slash: it would begin the next part of the name. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** By the first rule whose conditions hold; nobody when there is none, or one of its claims is no name. */
export function meantWorkload(claims: Claims, rules: readonly PlatformRule[]): MeantWorkload | NobodyMeant {
  const index = rules.findIndex(({ when }) => when.every((condition) => holds(condition, claims)));
  const rule = rules[index];
  if (rule === undefined) return { why: "no rule takes it" };
  let name = "";
  for (const part of (rule.workload ?? rule.group) as ClaimTemplate) {
    const value = typeof part === "string" ? part : claimAt(claims, part);
    if (value === undefined || (typeof part !== "string" && !NAME.test(value))) {
      const fault = value === undefined ? "not there" : "no DNS name";
      return { why: `rules[${index}] takes it, and ${formatClaimPath(part as ClaimPath)} is ${fault}` };
    }
    name += value;
  }
  return rule.group === null ? { workload: name, group: undefined } : { workload: undefined, group: name };
}

function holds({ claim, exact, prefix }: ClaimCondition, claims: Claims): boolean {
  const value = claimAt(claims, claim);
  if (value === undefined) return false;
  return exact === null ? value.startsWith(prefix as string) : value === exact;
}

/** Only text is a value: nothing else has one form. */
function claimAt(claims: Claims, path: ClaimPath): string | undefined {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Claims)[name];
  }
  return typeof value === "string" ? value : undefined;
}
