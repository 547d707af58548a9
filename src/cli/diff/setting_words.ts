/** What stands in the lists of a proxy's own settings, in words. */
import type { GatewayChain } from "../../model/gateway_listener.ts";
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { Policy, PolicyRule, PolicyTest } from "../../model/policy.ts";
import type { InboundPort } from "../../model/snapshot.ts";
import { testName } from "../../proxy/explain/policy_words.ts";

/** Of the items of one list. */
export interface ItemWords {
  /** Equal for what is the same thing before and after. */
  name(item: unknown): string;
  lines(item: unknown): readonly string[];
}

export interface SettingWords extends ItemWords {
  readonly title: string;
}

export function wordsFor(field: string): SettingWords {
  return LISTS[field] ?? { title: `own ${field}`, ...ANYTHING };
}

const ANYTHING = {
  name: (item: unknown) => JSON.stringify(item),
  lines: (item: unknown) => [JSON.stringify(item)],
};

/** Of a gateway's port. */
export const CHAINS: ItemWords = words<GatewayChain>("", {
  name: ({ serverNames }) =>
    serverNames.length === 0 ? "whatever is spoken there" : `TLS for ${serverNames.join(" or ")}`,
  more: ({ tls }) => serverText(tls),
});

/** What is not said stays the default. */
function serverText(tls: GatewayChain["tls"]): readonly string[] {
  if (tls === null) return [];
  const { clients, certificate } = tls;
  const shown = certificate === null
    ? []
    : [certificate.type === "credential" ? `the credential ${certificate.name}` : certificate.chain];
  return [...shown, `clients ${clients}`];
}

const LISTS: Readonly<Record<string, SettingWords>> = {
  inbound: words<InboundPort>("the workload's own ports", {
    name: ({ port, service }) => `port ${port} for ${service.host}`,
    more: ({ port: _port, service: _service, protocol: _protocol, declared, ...rest }) => [
      ...declared === undefined ? [] : [declared],
      ...Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`),
    ],
  }),
  policies: {
    ...words<Policy>("policies", { name: policyName, more: () => [] }),
    // What a policy asks for is told rule by rule, so that two are compared as wholes.
    name: ANYTHING.name,
    lines: (item) => [policyName(item as Policy), ...(item as Policy).rules.map(policyRuleText)],
  },
  jwtRules: words<JwtRule>("rules of tokens", {
    name: ({ issuer, name }) => `of ${issuer} by RequestAuthentication ${name}`,
    more: ({ audiences }) => audiences.length === 0 ? [] : [`for ${audiences.join(" or ")}`],
  }),
  doors: { title: "ports that the sidecar opens", ...ANYTHING },
};

function words<Item>(
  title: string,
  { name, more }: { name(item: Item): string; more(item: Item): readonly string[] },
): SettingWords {
  return {
    title,
    name: (item) => name(item as Item),
    lines: (item) => [[name(item as Item), ...more(item as Item)].join(", ")],
  };
}

function policyName({ action, name, file, line, dryRun }: Policy): string {
  return `${action} of AuthorizationPolicy ${name} (${file}:${line})${dryRun ? ", as a dry run" : ""}`;
}

function policyRuleText({ sources, operations, conditions }: PolicyRule, index: number): string {
  const parts = [anyText(sources), anyText(operations), allText(conditions)].filter((text) => text !== "");
  return `rule ${index}: ${parts.length === 0 ? "every call" : `where ${parts.join(", and ")}`}`;
}

function anyText(alternatives: readonly (readonly PolicyTest[])[]): string {
  return alternatives.map(allText).filter((text) => text !== "").join(", or ");
}

function allText(tests: readonly PolicyTest[]): string {
  return tests.map(testText).join(" and ");
}

function testText(test: PolicyTest): string {
  const { values = [], notValues = [] } = test;
  const parts = [
    ...values.length === 0 ? [] : [`is ${values.map(quoted).join(" or ")}`],
    ...notValues.length === 0 ? [] : [`is not ${notValues.map(quoted).join(" nor ")}`],
  ];
  return `${testName(test)} ${parts.join(" and ")}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
