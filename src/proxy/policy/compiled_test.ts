/**
 * One test of a rule, compiled. Some things can be read in two ways: a path with and without parameters, a header that
 * came twice as its values and as their list. A rule that refuses takes either reading, one that allows needs them all,
 * so that no server finds in a request what the policy did not see.
 */
import { bitsOf, Network, parseIp } from "../../lib/ip.ts";
import type { PolicyAttribute, PolicyTest } from "../../model/policy.ts";
import type { TextKey } from "../../lib/text_index.ts";
import { authTexts } from "./auth_texts.ts";
import { PathPatterns } from "./path_patterns.ts";
import { Patterns } from "./patterns.ts";
import type { PolicyCall } from "./policy_call.ts";
import type { KeyField, RuleKey, Wanted } from "./rule_key.ts";

export interface CompiledTest {
  readonly attribute: PolicyAttribute;
  /** Nothing but a request over HTTP has it. */
  readonly http: boolean;
  /** Whether the answer is the same for all requests of a connection to one port. */
  readonly perConnection: boolean;
  /** What a call that passes has. */
  readonly wanted: Wanted;
  passes(call: PolicyCall): boolean;
}

/** Whether a matcher holds in some reading, or in all of them. */
interface Matcher {
  /** What a call has for which it is possible. */
  readonly wanted: Wanted;
  possible(call: PolicyCall): boolean;
  certain(call: PolicyCall): boolean;
}

const HTTP: ReadonlySet<PolicyAttribute> = new Set<PolicyAttribute>([
  ...["host", "method", "path", "header"] as const,
  ...["request.auth.principal", "request.auth.audiences"] as const,
  ...["request.auth.presenter", "request.auth.claims"] as const,
]);

/** Throws when an address or network is none. */
export function compileTest(test: PolicyTest, refuses: boolean): CompiledTest {
  const { attribute, values = [], notValues = [] } = test;
  const wanted = values.length === 0 ? null : matcherOf(test, values);
  const unwanted = notValues.length === 0 ? null : matcherOf(test, notValues);
  const http = HTTP.has(attribute);
  return {
    attribute,
    http,
    perConnection: !http && attribute !== "remote.ip",
    wanted: wanted === null ? null : wanted.wanted,
    passes: refuses
      ? (call) => (wanted === null || wanted.possible(call)) && !(unwanted?.certain(call) ?? false)
      : (call) => (wanted === null || wanted.certain(call)) && !(unwanted?.possible(call) ?? false),
  };
}

function matcherOf({ attribute, header = "", claim = [] }: PolicyTest, values: readonly string[]): Matcher {
  switch (attribute) {
    case "path":
      return pathMatcher(new PathPatterns(values));
    case "header":
      return headerMatcher(header, new Patterns(values));
    case "host":
      return hostMatcher(values);
    case "source.ip":
    case "remote.ip":
    case "destination.ip":
      return addressMatcher(attribute, values);
    case "request.auth.principal":
    case "request.auth.audiences":
    case "request.auth.presenter":
    case "request.auth.claims":
      return tokenMatcher([attribute, ...claim], new Patterns(values));
    default: {
      const isName = attribute === "connection.sni";
      const patterns = new Patterns(isName ? values.map((value) => value.toLowerCase()) : values);
      const read = TEXTS[attribute];
      const wanted = attribute === "method" ? ruleKeys(attribute, patterns.keys) : null;
      return single(wanted, (call) => patterns.match(read(call)));
    }
  }
}

const TEXTS: Readonly<
  Record<
    | "source.principal"
    | "source.namespace"
    | "source.serviceAccount"
    | "source.trustDomain"
    | "connection.sni"
    | "destination.port"
    | "method",
    (call: PolicyCall) => string
  >
> = {
  "source.principal": ({ peer }) => peer.principal,
  "source.namespace": ({ peer }) => peer.namespace,
  "source.serviceAccount": ({ peer }) => peer.serviceAccount,
  "source.trustDomain": ({ peer }) => peer.trustDomain,
  "connection.sni": ({ peer }) => peer.serverName,
  "destination.port": ({ destination }) => String(destination.port),
  method: ({ method }) => method,
};

/** What can be read in one way only. */
function single(wanted: Wanted, matches: (call: PolicyCall) => boolean): Matcher {
  return { wanted, possible: matches, certain: matches };
}

/** One for each value. */
function ruleKeys(field: KeyField, keys: readonly TextKey[], name = ""): readonly (readonly RuleKey[])[] {
  return keys.map((key) => [{ field, name, ...key }]);
}

function pathMatcher(patterns: PathPatterns): Matcher {
  return {
    wanted: patterns.wanted,
    possible: ({ path, barePath }) => patterns.match(path) || (barePath !== path && patterns.match(barePath)),
    certain: ({ path, barePath }) => patterns.match(path) && (barePath === path || patterns.match(barePath)),
  };
}

function headerMatcher(name: string, patterns: Patterns): Matcher {
  return {
    wanted: ruleKeys("header", patterns.keys, name),
    possible: (call) => {
      const values = call.headerValues(name);
      if (values === null) return false;
      if (patterns.asksForPresence || patterns.match(joined(values))) return true;
      return values.some((value) =>
        patterns.match(value) || value.split(",").some((item) => patterns.match(item.trim()))
      );
    },
    certain: (call) => {
      const values = call.headerValues(name);
      if (values === null || !patterns.match(joined(values))) return false;
      // Of a list in one line the commas may belong to its only value.
      return values.length === 1 || values.every((value) => patterns.match(value));
    },
  };
}

/** RFC 9110 §5.2. */
function joined(values: readonly string[]): string {
  return values.length === 1 ? values[0] as string : values.join(",");
}

/** A request without a token has none of what one says. */
function tokenMatcher(attribute: readonly string[], patterns: Patterns): Matcher {
  const name = JSON.stringify(attribute);
  const read = authTexts(name);
  return single(
    ruleKeys("request.auth", patterns.keys, name),
    ({ auth }) => auth !== null && read(auth).some((text) => patterns.match(text)),
  );
}

/** A host without a port means it at every port. */
function hostMatcher(values: readonly string[]): Matcher {
  const texts = values.map((value) => value.toLowerCase());
  const namesPort = (text: string) => /:(?:\d+|\*)$|^\*:/.test(text);
  const withPort = new Patterns(texts.filter(namesPort));
  const withoutPort = new Patterns(texts.filter((text) => !namesPort(text)));
  const wanted = [...ruleKeys("host", withoutPort.keys), ...ruleKeys("authority", withPort.keys)];
  return single(wanted, ({ host, authority }) => withoutPort.match(host) || withPort.match(authority));
}

function addressMatcher(
  attribute: "source.ip" | "remote.ip" | "destination.ip",
  values: readonly string[],
): Matcher {
  const networks = values.map((value) => {
    const network = Network.parse(value);
    if (network === null) throw new Error(`${JSON.stringify(value)} is neither an IP address nor a network`);
    return network;
  });
  const keys = networks.map(({ bytes, bits }): TextKey => ({
    type: "prefix",
    value: bitsOf(bytes).slice(0, bits),
  }));
  return single(attribute === "remote.ip" ? ruleKeys(attribute, keys) : null, (call) => {
    const bytes = addressOf(attribute, call);
    return bytes !== null && networks.some((network) => network.contains(bytes));
  });
}

function addressOf(
  attribute: "source.ip" | "remote.ip" | "destination.ip",
  call: PolicyCall,
): Uint8Array | null {
  if (attribute === "remote.ip") return call.remoteAddress;
  return attribute === "source.ip" ? call.peer.addressBytes : parseIp(call.destination.address);
}
