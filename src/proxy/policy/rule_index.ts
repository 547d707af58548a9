/**
 * Finds the first of many rules that matches a call by what the call has: its path, its method, its headers. Only rules
 * that want something of that are asked, and those that want nothing in particular. It is the same for all connections.
 */
import { bitsOf } from "../../lib/ip.ts";
import { firstOf, TextIndex } from "../../lib/text_index.ts";
import { type CompiledRule, matches, wantedOf } from "./compiled_rule.ts";
import type { RequestAuth } from "../jwt/request_auth.ts";
import { authTexts } from "./auth_texts.ts";
import type { PolicyCall } from "./policy_call.ts";
import { chooseKeys, type KeyField, type RuleKey } from "./rule_key.ts";

/** With fewer rules it is quicker to ask them all. */
export const INDEXED_RULES_MIN = 8;

/** The rules of an index that a connection's calls can match; null in place of the others. */
export type Candidates = readonly (CompiledRule | null)[];

/** A text of a call; null: there is none, or it was looked at before. */
type Read = (call: PolicyCall) => string | null;

export class RuleIndex {
  readonly #texts: { readonly read: Read; readonly index: TextIndex }[] = [];
  /** Of the token. */
  readonly #auth: { readonly read: (auth: RequestAuth) => readonly string[]; readonly index: TextIndex }[] =
    [];
  /** By name. */
  readonly #headers = new Map<string, TextIndex>();
  readonly #others: number[] = [];

  constructor(rules: readonly CompiledRule[]) {
    const indices = new Map<string, TextIndex>();
    for (const [rule, keys] of chooseKeys(rules.map(wantedOf)).entries()) {
      if (keys === null) this.#others.push(rule);
      for (const key of keys ?? []) this.#index(indices, key).add(key, rule);
    }
  }

  /** The first of the rules that matches; null: none does. */
  find(rules: Candidates, call: PolicyCall): CompiledRule | null {
    let found = firstOf(this.#others, rules.length, call, rules, takes);
    for (const { read, index } of this.#texts) {
      const text = read(call);
      if (text !== null) found = index.find(text, found, call, rules, takes);
    }
    const { auth } = call;
    if (auth !== null) found = this.#findByAuth(rules, auth, call, found);
    if (this.#headers.size > 0) found = this.#findByHeader(rules, call, found);
    return rules[found] ?? null;
  }

  #index(indices: Map<string, TextIndex>, { field, name }: RuleKey): TextIndex {
    const id = `${field} ${name}`;
    const known = indices.get(id);
    if (known !== undefined) return known;
    const index = new TextIndex();
    indices.set(id, index);
    if (field === "header") this.#headers.set(name, index);
    else if (field === "request.auth") this.#auth.push({ read: authTexts(name), index });
    else for (const read of readsOf(field, name)) this.#texts.push({ read, index });
    return index;
  }

  #findByAuth(rules: Candidates, auth: RequestAuth, call: PolicyCall, limit: number): number {
    let found = limit;
    for (const { read, index } of this.#auth) {
      for (const text of read(auth)) found = index.find(text, found, call, rules, takes);
    }
    return found;
  }

  /** A request has fewer fields than there may be names in rules. */
  #findByHeader(rules: Candidates, call: PolicyCall, limit: number): number {
    const { headers } = call;
    let found = limit;
    for (let i = 0; i < headers.length; i += 2) {
      const index = this.#headers.get(headers[i] as string);
      if (index !== undefined && isFirstOfName(headers, i)) {
        found = findByValues(index, call.headerValues(headers[i] as string) ?? [], rules, call, found);
      }
    }
    return found;
  }
}

function takes(rule: CompiledRule | null, call: PolicyCall): boolean {
  return rule !== null && matches(rule, call);
}

/** By all readings of a field (compiled_test.ts). */
function findByValues(
  index: TextIndex,
  values: readonly string[],
  rules: Candidates,
  call: PolicyCall,
  limit: number,
): number {
  let found = values.length < 2 ? limit : index.find(values.join(","), limit, call, rules, takes);
  for (const value of values) {
    found = index.find(value, found, call, rules, takes);
    if (!value.includes(",")) continue;
    for (const item of value.split(",")) found = index.find(item.trim(), found, call, rules, takes);
  }
  return found;
}

function readsOf(field: Exclude<KeyField, "header" | "request.auth">, name: string): readonly Read[] {
  switch (field) {
    case "path":
      return [({ path }) => path, ({ path, barePath }) => barePath === path ? null : barePath];
    case "segment": {
      const number = Number(name);
      return [
        ({ path }) => segmentOf(path, number),
        ({ path, barePath }) => barePath === path ? null : segmentOf(barePath, number),
      ];
    }
    case "remote.ip":
      return [({ remoteAddress }) => remoteAddress === null ? null : bitsOf(remoteAddress)];
    default:
      return [(call) => call[field]];
  }
}

/** What stands behind the slash of that number; null: there are fewer. */
function segmentOf(path: string, number: number): string | null {
  let from = 0;
  for (let i = 0; i < number; i++) {
    from = path.indexOf("/", from) + 1;
    if (from === 0) return null;
  }
  const end = path.indexOf("/", from);
  return path.slice(from, end < 0 ? path.length : end);
}

function isFirstOfName(headers: readonly string[], at: number): boolean {
  for (let i = 0; i < at; i += 2) if (headers[i] === headers[at]) return false;
  return true;
}
