/** The answer of `explain` as prose: who calls what, which rule takes it, where it goes, and what was passed over. */
import type { RouteOrigin } from "../model/route.ts";
import type {
  Explained,
  ExplainedAuthentication,
  ExplainedAuthorization,
  ExplainedDestination,
  ExplainedHeaders,
  ExplainedRule,
  Explanation,
} from "../proxy/explain/explanation.ts";
import { IDEMPOTENT_METHODS } from "../proxy/filters/upstream_failure.ts";
import { policyLines } from "./policy_text.ts";
import { formatTable, printable } from "./output.ts";
import { abortWords, type Spoken, statusWords } from "./status_words.ts";

const WEIGHT_WIDTH = 8;

export function explainText(explained: Explained): string {
  const { explanation } = explained;
  const { from, method, url, service } = explanation;
  const target = service === null ? "" : `, which is ${service}`;
  const paragraphs = [
    [`${from} calls ${method === "CONNECT" ? "" : `${method} `}${url}${target}.`],
    gatewayRefusal(explained),
    decision(explained),
    ...explanation.destinations.map((destination, index) => destinationLines(destination, index, explained)),
    authentication(explained),
    authorization(explained),
    passedOver(explained),
    retries(explanation),
    explained.notes.filter(({ destination }) => destination === null).map(({ text }) => text),
  ];
  return paragraphs.filter((lines) => lines.length > 0).map((lines) => lines.map(printable).join("\n")).join(
    "\n\n",
  );
}

/** What happens, and because of which line in which file. */
function decision(explained: Explained): string[] {
  const { explanation, origins, isBytes } = explained;
  const { action, trace, redirect, directResponse } = explanation;
  const last = trace.at(-1);
  const why = last?.why ?? "the service has no rule";
  if (action === "passthrough") return [`It is passed on as it is, outside the mesh: ${why}.`];
  if (action === "blocked") {
    const refused = isBytes ? "closed" : `answered ${statusWords(502, explained)}`;
    return [`It is ${refused}, since only known services may be called (REGISTRY_ONLY): ${why}.`];
  }
  if (action === "refused") return [`Nobody can ask for it: ${why}.`];
  if (action === "not-found") {
    const notFound = `is answered ${statusWords(404, explained)} NR`;
    return [
      last?.virtualService === null ? `It ${notFound}: ${why}.` : `No rule takes it, so it ${notFound}.`,
    ];
  }
  const rule = last === undefined ? null : ruleName(last, origins.at(-1) ?? null);
  const taken = sentence(rule === null ? why : `${rule} takes it: ${why}`);
  switch (action) {
    case "forward":
      return [taken, ...forwarding(explained)];
    case "redirect":
      return [taken, `The client is sent to ${redirect?.location} (${redirect?.code}).`];
    case "direct-response":
      return [taken, `The proxy answers ${statusWords(directResponse?.status ?? 0, explained)} itself.`];
    case "abort":
      return [taken, ...faultLines(explanation, explained)];
  }
}

/** What is done to it on its way, and the line before the destinations. */
function forwarding(explained: Explained): string[] {
  const { explanation } = explained;
  const { rewrite, timeoutMs, mirrors, requestHeaders, destinations } = explanation;
  return [
    ...faultLines(explanation, explained),
    ...rewrite === null ? [] : [`The upstream is asked for ${rewritten(rewrite)}.`],
    ...headerLines(requestHeaders),
    ...mirrors.map(({ host, port, subset, percentage }) =>
      `A copy of ${percentage}% goes to ${placeOf(host, port, subset)}.`
    ),
    ...timeoutMs === null ? [] : [`It may take ${timeoutMs} ms.`],
    destinations.length > 1 ? "It is divided among:" : "It goes to:",
  ];
}

function faultLines({ fault }: Explanation, spoken: Spoken): string[] {
  if (fault === null) return [];
  const { delay, abort } = fault;
  return [
    ...delay === null
      ? []
      : [`${delay.percentage}% of such requests are delayed by ${delay.fixedDelayMs} ms.`],
    ...abort === null
      ? []
      : [`${abort.percentage}% of such requests are aborted: ${abortWords(abort, spoken)} FI.`],
  ];
}

function headerLines({ set, add, remove }: ExplainedHeaders): string[] {
  return [
    ...Object.entries(set).map(([name, value]) => `Header ${name} is set to ${JSON.stringify(value)}.`),
    ...Object.entries(add).map(([name, value]) => `Header ${name} gets ${JSON.stringify(value)} besides.`),
    ...remove.map((name) => `Header ${name} is removed.`),
  ];
}

function rewritten({ authority, path }: NonNullable<Explanation["rewrite"]>): string {
  if (authority === null) return path ?? "";
  return path === null ? `the authority ${authority}` : `${path} of the authority ${authority}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function placeOf(host: string, port: number, subset: string | null): string {
  return subset === null ? `${host}:${port}` : `${host}:${port}, subset ${subset}`;
}

function destinationLines(
  { host, port, subset, weight, endpoints }: ExplainedDestination,
  index: number,
  { notes, clusters, locality }: Explained,
): string[] {
  const cluster = clusters[index] ?? null;
  const unprotected = cluster?.tls === undefined ? "plain text" : "TLS";
  const place = placeOf(host, port, subset);
  const indent = " ".repeat(WEIGHT_WIDTH);
  const [, ...rows] = formatTable(
    [{ title: "" }, { title: "" }, { title: "" }],
    endpoints.map(({ address, workload, mtls }) => [address, workload, mtls ? "mTLS" : unprotected]),
  ).split("\n");
  const own = notes.filter(({ destination }) => destination === index).map(({ text }) => text);
  return [
    `${`${weight}%`.padStart(WEIGHT_WIDTH - 2)}  ${place}`,
    ...[...rows, ...policyLines(cluster, locality), ...own].map((line) => indent + line),
  ];
}

function authentication(explained: Explained): string[] {
  const { authentication = [] } = explained.explanation;
  const lines = authentication.flatMap(({ workload, rules, unread, fault }) => [
    ...rules.map(({ name, issuer, file, line }) =>
      `${workload} takes tokens of ${issuer}, by RequestAuthentication ${name} (${file}:${line}).`
    ),
    ...unread
      ? ["The token in the request is not verified here, and counts for none: --claims says what it holds."]
      : [],
    ...fault === null ? [] : [sentence(`it is refused with ${statusWords(401, explained)}: ${fault}`)],
  ]);
  return [...new Set(lines)];
}

/** What holds in any case, and the rest if it were not so. */
function gatewayRefusal(explained: Explained): string[] {
  const { from, gatewayAuthorization: own } = explained.explanation;
  if (own?.decision !== "deny") return [];
  const how = explained.isBytes ? "closes the connection" : `refuses it with ${statusWords(403, explained)}`;
  return [`${from} ${how}: ${own.reason}.`, "Without that:"];
}

function authorization(explained: Explained): string[] {
  const { from, gatewayAuthorization: own, authorization, authentication = [] } = explained.explanation;
  // Nobody asks policies about a request whose token is refused.
  if (authentication.some(({ fault }) => fault !== null)) return [];
  const atGateway = own?.decision === "allow" ? [`At ${from} itself: ${own.reason}.`] : [];
  const { decision, policy, reason } = authorization;
  const refused = explained.isBytes
    ? "the connection is closed"
    : `it is refused with ${statusWords(403, explained)}`;
  if (decision === "deny") return [...atGateway, sentence(`${refused}: ${reason}`)];
  return policy === null && authorization.asks === undefined ? atGateway : [...atGateway, sentence(reason)];
}

function passedOver({ explanation, origins }: Explained): string[] {
  const { from, authorization, gatewayAuthorization } = explanation;
  const routes = explanation.trace.flatMap((rule, index) => {
    const name = ruleName(rule, origins[index] ?? null);
    return rule.matched || name === null ? [] : [`  ${name}: ${rule.why}`];
  });
  const { authentication = [] } = explanation;
  // Nobody asks policies about a request whose token is refused.
  const isRefused = authentication.some(({ fault }) => fault !== null);
  const lines = [
    ...authentication.flatMap(tokenRules),
    ...policyRules(gatewayAuthorization, `, at ${from} itself`),
    ...routes,
    ...isRefused ? [] : policyRules(authorization, ""),
  ];
  return lines.length === 0 ? [] : ["Passed over:", ...lines];
}

/** The rules about tokens that the request does not meet. */
function tokenRules({ workload, rules }: ExplainedAuthentication): string[] {
  return rules.flatMap(({ name, file, line, why }) =>
    why === null ? [] : [`  RequestAuthentication ${name} (${file}:${line}), at ${workload}: ${why}`]
  );
}

/** The policies' rules that did not match, and what a trial of one that did would have come to. */
function policyRules({ trace = [] }: Pick<ExplainedAuthorization, "trace"> = {}, where: string): string[] {
  return trace.filter(({ matched, dryRun }) => !matched || dryRun === true)
    .map(({ policy, action, dryRun, rule, file, line, matched, why }) => {
      const what = `${
        rule === null ? "" : `rule ${rule} of `
      }AuthorizationPolicy ${policy} (${file}:${line})`;
      const trial = dryRun ? ", which is only tried out" : "";
      return `  ${what}, ${action}${trial}${where}: ${matched ? "it would match, since " : ""}${why}`;
    });
}

function retries({ retries, destinations, fault, method }: Explanation): string[] {
  if (retries === null || destinations.every(({ endpoints }) => endpoints.length === 0)) return [];
  const { attempts, retryOn, perTryTimeoutMs } = retries;
  const times = attempts === 1 ? "once more" : `up to ${attempts} more times`;
  const each = perTryTimeoutMs === null ? "" : `, each for ${perTryTimeoutMs} ms at most`;
  const lost = IDEMPOTENT_METHODS.has(method) ? ", or when a kept connection closes without a word" : "";
  return [
    `It is tried ${times} after ${retryOn.replaceAll(",", ", ")}${lost}${each}.`,
    ...fault?.delay ? ["A request that was delayed is tried once, and has no timeout."] : [],
  ];
}

/** Null where no VirtualService has a say. */
function ruleName({ virtualService, rule }: ExplainedRule, origin: RouteOrigin | null): string | null {
  if (virtualService === null) return null;
  const place = origin === null ? "" : ` (${origin.file}:${origin.line})`;
  return `rule ${rule} of VirtualService ${virtualService}${place}`;
}
