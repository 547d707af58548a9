/**
 * What a call must have for a rule to match, in a form that can be looked up (rule_index.ts). Of all that a rule asks for
 * the rarest is taken, so that few rules are found by the same thing.
 */
import type { TextKey } from "../../lib/text_index.ts";

export type KeyField =
  | "path"
  | "segment"
  | "method"
  | "host"
  | "authority"
  | "header"
  | "remote.ip"
  | "request.auth";

export interface RuleKey extends TextKey {
  readonly field: KeyField;
  /** Of a header its name, of a segment its number, of a token what is asked of it (auth_texts.ts); else empty. */
  readonly name: string;
}

/**
 * What a test wants: for one of its values all keys hold, so that any one of them can stand for the value. Null: it may
 * pass without.
 */
export type Wanted = readonly (readonly RuleKey[])[] | null;

/** What a rule wants, as compiled_rule.ts has it; alternatives of tests, of which each group has to hold. */
export type WantedGroups = readonly (readonly (readonly Wanted[])[])[];

/** One key for each way in which a rule can match; null: there is a way without any. */
export function chooseKeys(rules: readonly WantedGroups[]): (readonly RuleKey[] | null)[] {
  const uses = new Map<string, number>();
  for (const groups of rules) {
    // A rule that asks twice for the same is still one rule.
    for (const id of new Set(groups.flat(2).flatMap((wanted) => wanted?.flat() ?? []).map(idOf))) {
      uses.set(id, (uses.get(id) ?? 0) + 1);
    }
  }
  const usesOf = (keys: readonly RuleKey[]) => keys.reduce((sum, key) => sum + (uses.get(idOf(key)) ?? 0), 0);
  const rarest = (choices: readonly (readonly RuleKey[])[]) =>
    choices.length < 2 ? choices[0] ?? null : choices.reduce((a, b) => usesOf(b) < usesOf(a) ? b : a);

  const ofTest = (wanted: Wanted) =>
    wanted?.flatMap((value) => rarest(value.map((key) => [key])) ?? []) ?? null;
  const ofAlternative = (tests: readonly Wanted[]) =>
    rarest(tests.map(ofTest).filter((keys) => keys !== null));
  const ofGroup = (alternatives: readonly (readonly Wanted[])[]) => {
    const all = alternatives.map(ofAlternative);
    return all.every((keys) => keys !== null) ? all.flat() : null;
  };
  return rules.map((groups) => rarest(groups.map(ofGroup).filter((keys) => keys !== null)));
}

function idOf({ field, name, type, value }: RuleKey): string {
  return `${field} ${name} ${type} ${value}`;
}
