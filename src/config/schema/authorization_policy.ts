/**
 * AuthorizationPolicy (security.istio.io): who may call a workload, and how. Whatever would make a rule match more than
 * its writer meant is refused as a value, which `--lenient` does not load without.
 */
import { PORT_MAX } from "../../model/ports.ts";
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import { isToken } from "./header_operations.ts";
import type { Immutable } from "./immutable.ts";
import { pathTemplateFault } from "./path_template.ts";
import { noTargets } from "./policy_targets.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { addressOrNetwork, isPortText, labels, oneOf } from "./scalars.ts";

/** AUDIT only counts; CUSTOM asks a server of the operator's. */
const ACTIONS = ["ALLOW", "DENY", "AUDIT", "CUSTOM"] as const;

/** Istio's wildcards: `*` alone, at the beginning, or at the end; anywhere else a star is a star. */
const pattern: Schema<string> = v.pipe(v.string(), v.nonEmpty(wrong("an empty string matches nothing")));

const patterns = list(pattern);

const path: Schema<string> = v.pipe(
  pattern,
  v.rawCheck(({ dataset, addIssue }) => {
    const reason = dataset.typed ? pathTemplateFault(dataset.value) : null;
    if (reason !== null) addIssue({ message: wrong(reason) });
  }),
);

const blocks = list(addressOrNetwork);

const portText: Schema<string> = v.pipe(
  v.string(),
  v.check(isPortText, wrong(`a port is a whole number from 1 to ${PORT_MAX}`)),
);

const serviceAccount: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => /^[a-z0-9.-]+(\/[a-z0-9.-]+)?$/.test(name),
    wrong(
      '{} is neither "NAMESPACE/SERVICE_ACCOUNT" nor "SERVICE_ACCOUNT"',
      "wildcards are not allowed here",
    ),
  ),
);

const sourceFields = fields({
  /** `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`. */
  principals: patterns,
  notPrincipals: patterns,
  /** `ISSUER/SUBJECT` of a JWT. */
  requestPrincipals: patterns,
  notRequestPrincipals: patterns,
  namespaces: patterns,
  notNamespaces: patterns,
  /** Of the other end of the connection. */
  ipBlocks: blocks,
  notIpBlocks: blocks,
  /** Of the client, as `x-forwarded-for` tells. */
  remoteIpBlocks: blocks,
  notRemoteIpBlocks: blocks,
  serviceAccounts: list(serviceAccount),
  notServiceAccounts: list(serviceAccount),
});

type SourceFields = v.InferOutput<typeof sourceFields>;

const source = v.pipe(
  sourceFields,
  v.check((value) => hasSome(value), wrong("needs at least one field", "leave `from` out for every caller")),
  across(function* (value: SourceFields): Generator<Fault> {
    const both = value.serviceAccounts.length + value.notServiceAccounts.length > 0 &&
      [value.principals, value.notPrincipals, value.namespaces, value.notNamespaces].some(({ length }) =>
        length > 0
      );
    if (!both) return;
    yield { message: wrong("serviceAccounts exclude principals and namespaces"), at: ["serviceAccounts"] };
  }),
) as Schema<SourceFields>;

const operationFields = fields({
  hosts: patterns,
  notHosts: patterns,
  ports: list(portText),
  notPorts: list(portText),
  methods: patterns,
  notMethods: patterns,
  paths: list(path),
  notPaths: list(path),
});

const operation = v.pipe(
  operationFields,
  v.check((value) => hasSome(value), wrong("needs at least one field", "leave `to` out for every operation")),
) as Schema<v.InferOutput<typeof operationFields>>;

/** Keys without a parameter, and what their values look like. */
const VALUES: Readonly<Record<string, Schema<string>>> = {
  "source.ip": addressOrNetwork,
  "remote.ip": addressOrNetwork,
  "source.namespace": pattern,
  "source.principal": pattern,
  "source.serviceAccount": serviceAccount,
  "source.trustDomain": pattern,
  "request.auth.principal": pattern,
  "request.auth.audiences": pattern,
  "request.auth.presenter": pattern,
  "destination.ip": addressOrNetwork,
  "destination.port": portText,
  "connection.sni": pattern,
};

const REQUEST_HEADER = /^request\.headers\[([^\]]+)\]$/;
const CLAIM = /^request\.auth\.claims(\[[^\]]+\])+$/;
/** As a message names them. */
const KEYS = ["request.headers[NAME]", "request.auth.claims[NAME]", ...Object.keys(VALUES)].join(", ");

const key: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => !name.startsWith("experimental."),
    unimplementedValue("this key"),
  ),
  v.check(
    (name) => !isPseudoHeader(name),
    unimplementedValue("a pseudo-header as a condition", "use hosts, methods or paths of an operation"),
  ),
  v.check(
    (name) => isKnownKey(name) || isPseudoHeader(name) || name.startsWith("experimental."),
    wrong("{} is no key of a condition", KEYS),
  ),
);

const conditionFields = fields({ key, values: patterns, notValues: patterns });

type Condition = v.InferOutput<typeof conditionFields>;

const condition = v.pipe(
  conditionFields,
  across(function* ({ key, values, notValues }: Condition): Generator<Fault> {
    if (values.length + notValues.length === 0) yield { message: wrong("needs values or notValues"), at: [] };
    const schema = VALUES[key];
    if (schema === undefined) return;
    for (const [field, texts] of [["values", values], ["notValues", notValues]] as const) {
      for (const [index, text] of texts.entries()) {
        const [issue] = v.safeParse(schema, text).issues ?? [];
        if (issue !== undefined) yield { message: issue.message, at: [field, index] };
      }
    }
  }),
) as Schema<Condition>;

/** All that is given has to hold; an empty rule holds always. */
const rule = fields({
  from: someOrNone(fields({ source }), "one source"),
  to: someOrNone(fields({ operation }), "one operation"),
  when: list(condition),
});

const policyFields = fields({
  /** Null: every workload of the namespace, or of the mesh where it stands in the root namespace. */
  selector: optional(fields({ matchLabels: labels })),
  targetRef: noTargets,
  targetRefs: noTargets,
  /** None: ALLOW allows nothing, and the others do not apply. */
  rules: list(rule),
  action: v.nullish(oneOf(ACTIONS, "an action"), "ALLOW"),
  /** Of CUSTOM: one of MeshConfig's extensionProviders. */
  provider: optional(
    fields({ name: v.pipe(v.string(), v.nonEmpty(wrong("a provider has a name"))) as Schema<string> }),
  ),
});

type PolicyFields = v.InferOutput<typeof policyFields>;

export const authorizationPolicySpec = v.pipe(
  policyFields,
  across(function* ({ action, provider }: PolicyFields): Generator<Fault> {
    if (action === "CUSTOM" && provider === null) {
      yield { message: wrong("CUSTOM needs a provider, which is asked"), at: ["provider"] };
    } else if (action !== "CUSTOM" && provider !== null) {
      yield { message: wrong("only CUSTOM has a provider"), at: ["provider"] };
    }
  }),
) as Schema<PolicyFields>;

/** Istio tries a policy out where this annotation says so. */
const DRY_RUN_ANNOTATION = "istio.io/dry-run";

/** Whether a policy is only tried out: what Go's ParseBool makes of the annotation. Undefined: neither yes nor no. */
export function isDryRun(annotations: Readonly<Record<string, string>>): boolean | undefined {
  const said = annotations[DRY_RUN_ANNOTATION] ?? "false";
  return /^(1|t|T|TRUE|true|True)$/.test(said) ||
    (/^(0|f|F|FALSE|false|False)$/.test(said) ? false : undefined);
}

interface Document {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: Pick<PolicyFields, "action">;
}

/** What the annotation says has to be understood: a policy that was to be tried out would be enforced. */
export function* dryRunFaults({ metadata: { annotations }, spec: { action } }: Document): Generator<Fault> {
  const at = ["metadata", "annotations", DRY_RUN_ANNOTATION];
  const dryRun = isDryRun(annotations);
  if (dryRun === undefined) yield { message: wrong("{} is neither true nor false"), at };
  if (dryRun === true && action !== "ALLOW" && action !== "DENY") {
    yield { message: wrong(`only ALLOW and DENY can be tried out, not ${action}`), at };
  }
}

export type AuthorizationPolicySpec = Immutable<v.InferOutput<typeof authorizationPolicySpec>>;
export type AuthorizationRule = AuthorizationPolicySpec["rules"][number];

/** Fields of a source and an operation that only a request over HTTP has. */
export const HTTP_SOURCE_FIELDS = ["requestPrincipals", "notRequestPrincipals"] as const;
export const HTTP_OPERATION_FIELDS = [
  "hosts",
  "notHosts",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] as const;

/** Whether only a request over HTTP has what a condition asks for. */
export function isHttpKey(key: string): boolean {
  return key.startsWith("request.");
}

/** The header's name, in lower case, that a condition's key asks for; null: it asks for something else. */
export function headerOfKey(key: string): string | null {
  return REQUEST_HEADER.exec(key)?.[1]?.toLowerCase() ?? null;
}

/** The claim's keys, from the outside in, that a condition's key asks for; null: it asks for something else. */
export function claimOfKey(key: string): readonly string[] | null {
  return CLAIM.test(key) ? key.slice(key.indexOf("[") + 1, -1).split("][") : null;
}

/** Envoy sees one as a header; there are fields that say the same, and know all ways to write it. */
function isPseudoHeader(key: string): boolean {
  return headerOfKey(key)?.startsWith(":") ?? false;
}

function isKnownKey(name: string): boolean {
  const header = headerOfKey(name);
  if (header !== null) return isToken(header);
  return Object.hasOwn(VALUES, name) || CLAIM.test(name);
}

/** A list that may be absent, and is empty then; an empty one that is written says nothing that could be meant. */
function someOrNone<Item>(item: Schema<Item>, what: string): Schema<Item[]> {
  return v.pipe(optional(listOfSome(item, what)), v.transform((items) => items ?? []));
}

function hasSome(value: Readonly<Record<string, readonly unknown[]>>): boolean {
  return Object.values(value).some(({ length }) => length > 0);
}
