/**
 * What Istio's reference says of AuthorizationPolicy, once more: on the resources as they are written, one rule after the
 * other, with a regular expression for each pattern. It shares nothing with the proxy, and is slow.
 */

export interface Source {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
}

export interface Operation {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface Condition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export interface Rule {
  readonly from?: readonly { readonly source: Source }[];
  readonly to?: readonly { readonly operation: Operation }[];
  readonly when?: readonly Condition[];
}

export interface AuthorizationPolicy {
  readonly namespace: string;
  readonly dryRun: boolean;
  readonly selector: Readonly<Record<string, string>>;
  readonly action: "ALLOW" | "DENY" | "AUDIT";
  readonly rules: readonly Rule[];
}

/** A request, or a connection of bytes, as the workload's proxy sees it. */
export interface Call {
  /** Namespace and service account of the caller in the trust domain; null: it proved nothing. */
  readonly peer: { readonly namespace: string; readonly serviceAccount: string } | null;
  readonly trustDomain: string;
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly port: number;
  /** Null: bytes. */
  readonly http: Request | null;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly token: Readonly<Record<string, unknown>> | null;
}

export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const ROOT_NAMESPACE = "istio-system";

/** DENY goes before ALLOW; where no ALLOW selects the workload, all is allowed; AUDIT and dry runs decide nothing. */
export function allows(policies: readonly AuthorizationPolicy[], workload: Workload, call: Call): boolean {
  const own = policies.filter(({ namespace, selector, dryRun }) =>
    !dryRun && (namespace === ROOT_NAMESPACE || namespace === workload.namespace) &&
    Object.entries(selector).every(([label, value]) => workload.labels[label] === value)
  );
  const matches = (action: string) =>
    own.some((policy) =>
      policy.action === action && policy.rules.some((rule) => ruleMatches(rule, policy, call))
    );
  if (matches("DENY")) return false;
  return !own.some(({ action }) => action === "ALLOW") || matches("ALLOW");
}

function ruleMatches(rule: Rule, policy: AuthorizationPolicy, call: Call): boolean {
  if (call.http === null && policy.action === "ALLOW" && needsHttp(rule)) return false;
  const { from, to, when } = rule;
  return (from === undefined || from.some(({ source }) => sourceMatches(source, policy, call))) &&
    (to === undefined || to.some(({ operation }) => operationMatches(operation, call))) &&
    (when ?? []).every((condition) => conditionMatches(condition, call));
}

function sourceMatches(source: Source, policy: AuthorizationPolicy, call: Call): boolean {
  const inPolicysNamespace = (names: readonly string[] = []) =>
    names.map((name) => name.includes("/") ? name : `${policy.namespace}/${name}`);
  return texts(source.principals, source.notPrincipals, principals(call)) &&
    texts(source.namespaces, source.notNamespaces, call.peer === null ? [] : [call.peer.namespace]) &&
    texts(
      source.serviceAccounts && inPolicysNamespace(source.serviceAccounts),
      source.notServiceAccounts && inPolicysNamespace(source.notServiceAccounts),
      serviceAccounts(call),
    ) &&
    addresses(source.ipBlocks, source.notIpBlocks, call.sourceIp) &&
    http(
      call,
      [source.requestPrincipals, source.notRequestPrincipals],
      ({ token }) => texts(source.requestPrincipals, source.notRequestPrincipals, requestPrincipals(token)),
    ) &&
    // It is that of the connection where there is no header.
    addresses(source.remoteIpBlocks, source.notRemoteIpBlocks, remoteIp(call));
}

function operationMatches(operation: Operation, call: Call): boolean {
  const { hosts, notHosts, methods, notMethods, paths, notPaths } = operation;
  return texts(operation.ports, operation.notPorts, [String(call.port)]) &&
    http(
      call,
      [hosts, notHosts],
      ({ authority }) =>
        (hosts === undefined || hosts.some((host) => hostMatches(host, authority))) &&
        !(notHosts ?? []).some((host) => hostMatches(host, authority)),
    ) &&
    http(call, [methods, notMethods], ({ method }) => texts(methods, notMethods, [method])) &&
    http(call, [paths, notPaths], ({ path }) => {
      const bare = path.split("?", 1)[0] as string;
      return (paths === undefined || paths.some((pattern) => pathMatches(pattern, bare))) &&
        !(notPaths ?? []).some((pattern) => pathMatches(pattern, bare));
    });
}

function conditionMatches({ key, values, notValues }: Condition, call: Call): boolean {
  const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1]?.toLowerCase();
  if (header !== undefined) {
    return http(call, [values, notValues], ({ headers }) => {
      const found = headers.filter(([name]) => name === header).map(([, value]) => value);
      return texts(values, notValues, found.length === 0 ? [] : [found.join(",")]);
    });
  }
  if (key.startsWith("request.auth.")) {
    return http(call, [values, notValues], ({ token }) => texts(values, notValues, ofToken(key, token)));
  }
  switch (key) {
    case "source.ip":
      return addresses(values, notValues, call.sourceIp);
    case "destination.ip":
      return addresses(values, notValues, call.destinationIp);
    case "remote.ip":
      return addresses(values, notValues, remoteIp(call));
    case "destination.port":
      return texts(values, notValues, [String(call.port)]);
    case "source.namespace":
      return texts(values, notValues, call.peer === null ? [] : [call.peer.namespace]);
    case "source.principal":
      return texts(values, notValues, principals(call));
    case "source.trustDomain":
      return texts(values, notValues, call.peer === null ? [] : [call.trustDomain]);
    default:
      throw new Error(`Nothing is known of ${key}`);
  }
}

/** Fields that only HTTP has: of bytes a rule that denies is read as if they were not there. */
function http(
  { http }: Call,
  written: readonly unknown[],
  matches: (request: Request) => boolean,
): boolean {
  return written.every((list) => list === undefined) || http === null || matches(http);
}

/** A rule that allows never matches bytes if it has any such field, in whichever of its alternatives. */
function needsHttp({ from = [], to = [], when = [] }: Rule): boolean {
  const fields = [...from.map(({ source }) => source), ...to.map(({ operation }) => operation)];
  return fields.some((one) =>
    Object.keys(one).some((name) => /^(not)?(requestPrincipals|hosts|methods|paths)$/i.test(name))
  ) ||
    when.some(({ key }) => /^request\./.test(key));
}

/** One of what there is has to match one of `wanted`, and none of it any of `unwanted`. */
function texts(
  wanted: readonly string[] | undefined,
  unwanted: readonly string[] | undefined,
  found: readonly string[],
): boolean {
  const some = (patterns: readonly string[]) =>
    found.some((text) => patterns.some((pattern) => expressionOf(pattern).test(text)));
  return (wanted === undefined || some(wanted)) && !some(unwanted ?? []);
}

/** Exact, prefix, suffix and presence matches; a star elsewhere is a star. */
function expressionOf(pattern: string): RegExp {
  if (pattern === "*") return /^.+$/;
  if (pattern.startsWith("*")) return new RegExp(`${escaped(pattern.slice(1))}$`);
  if (pattern.endsWith("*")) return new RegExp(`^${escaped(pattern.slice(0, -1))}`);
  return new RegExp(`^${escaped(pattern)}$`);
}

function pathMatches(pattern: string, path: string): boolean {
  if (!/\{\*\*?\}/.test(pattern)) return expressionOf(pattern).test(path);
  const parts = pattern.split(/(\{\*\*?\})/).map((part) =>
    part === "{*}" ? "[^/]+" : part === "{**}" ? ".*" : escaped(part)
  );
  return new RegExp(`^${parts.join("")}$`).test(path);
}

/** Without regard to case; one that names no port means any. */
function hostMatches(pattern: string, authority: string): boolean {
  const [host, port] = [pattern.toLowerCase(), authority.toLowerCase()];
  return expressionOf(host).test(/:(\d+|\*)$|^\*:/.test(host) ? port : port.replace(/:\d+$/, ""));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function principals({ peer, trustDomain }: Call): readonly string[] {
  return peer === null ? [] : [`${trustDomain}/ns/${peer.namespace}/sa/${peer.serviceAccount}`];
}

function serviceAccounts({ peer }: Call): readonly string[] {
  return peer === null ? [] : [`${peer.namespace}/${peer.serviceAccount}`];
}

function requestPrincipals(token: Request["token"]): readonly string[] {
  return token?.["iss"] === undefined || token["sub"] === undefined
    ? []
    : [`${token["iss"]}/${token["sub"]}`];
}

function ofToken(key: string, token: Request["token"]): readonly string[] {
  if (token === null) return [];
  if (key === "request.auth.principal") return requestPrincipals(token);
  if (key === "request.auth.audiences") return itemsOf(token["aud"]);
  if (key === "request.auth.presenter") return itemsOf(token["azp"]);
  const names = [...key.matchAll(/\[([^\]]+)\]/g)].map(([, name]) => name as string);
  let value: unknown = token;
  for (const name of names) value = (value as Record<string, unknown> | undefined)?.[name];
  return names.length === 1 && names[0] === "scope" && typeof value === "string"
    ? value.split(" ")
    : itemsOf(value);
}

function itemsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map(String);
  return value === undefined || typeof value === "object" ? [] : [String(value)];
}

/** The client: as a proxy of the mesh tells it, or the other end. */
function remoteIp({ peer, http, sourceIp }: Call): string {
  const told = http?.headers.filter(([name]) => name === "x-forwarded-for").at(-1)?.[1];
  return peer === null || told === undefined ? sourceIp : told.split(",").at(-1)?.trim() ?? "";
}

function addresses(
  wanted: readonly string[] | undefined,
  unwanted: readonly string[] | undefined,
  address: string,
): boolean {
  const within = (blocks: readonly string[]) => blocks.some((block) => blockHas(block, address));
  return (wanted === undefined || within(wanted)) && !within(unwanted ?? []);
}

function blockHas(block: string, address: string): boolean {
  const [base = "", length] = block.split("/");
  const [from, of] = [bitsOf(base), bitsOf(address)];
  const bits = length === undefined ? from.length : Number(length);
  return from.length === of.length && from.slice(0, bits) === of.slice(0, bits);
}

/** IPv6 is written with all of its groups, or with `::` at the end. */
function bitsOf(address: string): string {
  if (!address.includes(":")) {
    return address.split(".").map((byte) => Number(byte).toString(2).padStart(8, "0")).join("");
  }
  const groups = address.replace(/::$/, "").split(":").map((group) => Number.parseInt(group, 16));
  return [...groups, ...Array<number>(8 - groups.length).fill(0)]
    .map((group) => group.toString(2).padStart(16, "0")).join("");
}
