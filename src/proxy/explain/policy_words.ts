/** Why a rule of a policy does not match a call, in a clause: the first of its tests that fails, as it was compiled. */
import { formatIp } from "../../lib/ip.ts";
import type { PolicyRule, PolicyTest } from "../../model/policy.ts";
import { authTexts } from "../policy/auth_texts.ts";
import { compileTest } from "../policy/compiled_test.ts";
import type { PolicyCall } from "../policy/policy_call.ts";
import { quote } from "./quote.ts";

/** Values that a clause names, of however many. */
const VALUES_TOLD_MAX = 5;
/** Alternatives of a rule of which it tells why they fail. */
const ALTERNATIVES_TOLD_MAX = 3;

/** Which tests of a rule can be asked. */
export interface RuleReading {
  /** The rule refuses, so that of what can be read in two ways either is enough. */
  readonly refuses: boolean;
  /** Of bytes nothing is known that only requests have. */
  readonly protocol: "http" | "tcp";
}

/** Null: it matches. */
export function whyNotRule(
  { sources, operations, conditions }: PolicyRule,
  call: PolicyCall,
  reading: RuleReading,
): string | null {
  const all = [...sources, ...operations, conditions].flat();
  const isHttp = (test: PolicyTest) => compileTest(test, reading.refuses).http;
  if (reading.protocol === "tcp" && !reading.refuses && all.some(isHttp)) {
    return "it asks for what only requests have, and these are bytes";
  }
  const known = (tests: readonly PolicyTest[]) =>
    reading.protocol === "tcp" ? tests.filter((test) => !isHttp(test)) : tests;
  return whyNoneOf(operations.map(known), call, reading) ??
    whyNotAll(known(conditions), call, reading) ??
    whyNoneOf(sources.map(known), call, reading);
}

function whyNoneOf(
  alternatives: readonly (readonly PolicyTest[])[],
  call: PolicyCall,
  reading: RuleReading,
): string | null {
  const clauses: string[] = [];
  for (const tests of alternatives) {
    const clause = whyNotAll(tests, call, reading);
    if (clause === null) return null;
    clauses.push(clause);
  }
  return clauses.length === 0 ? null : listed([...new Set(clauses)], ALTERNATIVES_TOLD_MAX, "; nor: ");
}

function whyNotAll(tests: readonly PolicyTest[], call: PolicyCall, reading: RuleReading): string | null {
  for (const test of tests) {
    const clause = whyNotTest(test, call, reading);
    if (clause !== null) return clause;
  }
  return null;
}

function whyNotTest(test: PolicyTest, call: PolicyCall, { refuses }: RuleReading): string | null {
  const passes = (one: PolicyTest) => compileTest(one, refuses).passes(call);
  if (passes(test)) return null;
  const { notValues, ...wanted } = test;
  const missesValues = (test.values ?? []).length > 0 && !passes(wanted);
  const [must, values] = missesValues
    ? ["has to be", test.values ?? []] as const
    : ["must not be", notValues ?? []] as const;
  const texts = listed(values, VALUES_TOLD_MAX, missesValues ? " or " : " nor ");
  return `${testName(test)} ${must} ${texts}, and ${valueOf(test, call)}`;
}

/** As the condition of a policy would name it. */
export function testName({ attribute, header, claim = [] }: PolicyTest): string {
  switch (attribute) {
    case "header":
      return `request.headers[${header}]`;
    case "request.auth.claims":
      return `request.auth.claims${claim.map((key) => `[${key}]`).join("")}`;
    case "host":
    case "method":
    case "path":
      return `the ${attribute}`;
    default:
      return attribute;
  }
}

function valueOf({ attribute, header = "", claim = [] }: PolicyTest, call: PolicyCall): string {
  const { peer, destination } = call;
  switch (attribute) {
    case "source.principal":
      return proven(peer.principal);
    case "source.namespace":
      return proven(peer.namespace);
    case "source.serviceAccount":
      return proven(peer.serviceAccount);
    case "source.trustDomain":
      return proven(peer.trustDomain);
    case "connection.sni":
      return peer.serverName === "" ? "TLS asks for no name" : is(peer.serverName);
    case "source.ip":
      return addressed(peer.addressBytes);
    case "remote.ip":
      return addressed(call.remoteAddress);
    case "destination.ip":
      return is(destination.address);
    case "destination.port":
      return is(String(destination.port));
    case "host":
      return is(call.authority);
    case "method":
      return is(call.method);
    case "path":
      return is(call.path);
    case "header": {
      const values = call.headerValues(header);
      return values === null ? "it is not there" : is(values.join(","));
    }
    default: {
      if (call.auth === null) return "no token was verified";
      const texts = authTexts(JSON.stringify([attribute, ...claim]))(call.auth);
      return texts.length === 0 ? "the token has none" : `it is ${texts.map(quote).join(", ")}`;
    }
  }
}

function proven(text: string): string {
  return text === "" ? "the caller proves none" : is(text);
}

function addressed(bytes: Uint8Array | null): string {
  return bytes === null ? "the address is not known" : is(formatIp(bytes));
}

function is(text: string): string {
  return `it is ${quote(text)}`;
}

function listed(texts: readonly string[], most: number, separator: string): string {
  const told = texts.slice(0, most).join(separator);
  return texts.length > most ? `${told}${separator}${texts.length - most} others` : told;
}
