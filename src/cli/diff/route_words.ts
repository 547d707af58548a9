/** What a route does with a request, in words. */
import type {
  CorsPolicy,
  Fault,
  HeaderEdits,
  Mirror,
  RedirectAction,
  RetryPolicy,
  Rewrite,
  RouteAction,
  StringMatch,
  WeightedCluster,
} from "../../model/route.ts";
import { clusterParts } from "../../proxy/explain/mesh_view.ts";
import { abortStatus } from "../status_words.ts";
import type { Treatment } from "./snapshot_diff.ts";

/** Null: no rule takes the request. */
export function treatmentText(treatment: Treatment | null): string {
  if (treatment === null) return "no rule takes it";
  const { action, fault, cors, requestHeaders, responseHeaders } = treatment;
  return [
    actionText(action),
    ...fault === undefined ? [] : faultTexts(fault),
    ...editTexts(requestHeaders, "on requests"),
    ...editTexts(responseHeaders, "on answers"),
    ...cors === undefined ? [] : [corsText(cors)],
  ].join(", ");
}

export function stringText(wanted: StringMatch): string {
  switch (wanted.type) {
    case "present":
      return "is there";
    case "exact":
      return `is ${JSON.stringify(wanted.value)}`;
    case "prefix":
      return `starts with ${JSON.stringify(wanted.value)}`;
    case "regex":
      return `matches ${wanted.value}`;
  }
}

export function placeText(
  { host, port, subset }: { host: string; port: number; subset: string | null },
): string {
  return subset === null ? `${host}:${port}` : `${host}:${port} subset ${subset}`;
}

export function destinationsText(destinations: readonly WeightedCluster[]): string {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  return destinations.map((one) => destinationText(one, total)).join(", ");
}

function actionText(action: RouteAction): string {
  switch (action.type) {
    case "redirect":
      return redirectText(action);
    case "directResponse": {
      const { status, body } = action;
      const said = body === null
        ? ""
        : "text" in body
        ? ` with ${JSON.stringify(body.text)}`
        : ` with the bytes ${body.base64}`;
      return `answered ${status}${said}`;
    }
    case "forward": {
      const { destinations, rewrite, mirrors = [], timeoutMs, retries } = action;
      return [
        destinationsText(destinations),
        ...rewrite === undefined ? [] : rewriteTexts(rewrite),
        ...mirrors.map(mirrorText),
        ...timeoutMs === undefined ? [] : [`timeout ${timeoutMs} ms`],
        ...retries === undefined ? [] : [retriesText(retries)],
      ].join(", ");
    }
  }
}

function redirectText({ code, scheme, authority, port, path }: RedirectAction): string {
  const parts = [
    ...scheme === null ? [] : [`scheme ${scheme}`],
    ...authority === null ? [] : [`authority ${authority}`],
    ...port === null ? [] : [`port ${port}`],
    ...path === null ? [] : [`${path.type === "full" ? "path" : "what matched becomes"} ${path.value}`],
  ];
  return `redirected ${code} (${parts.join(", ")})`;
}

function destinationText({ cluster, weight, ...more }: WeightedCluster, total: number): string {
  const share = total === 0 ? 100 : Math.round(weight * 10_000 / total) / 100;
  const rest = [
    ...more.authority === undefined ? [] : [`authority ${more.authority}`],
    ...editTexts(more.requestHeaders, "on requests"),
    ...editTexts(more.responseHeaders, "on answers"),
  ];
  return `${share}% to ${placeText(clusterParts(cluster))}${
    rest.length === 0 ? "" : ` (${rest.join(", ")})`
  }`;
}

function rewriteTexts({ authority, path }: Rewrite): string[] {
  return [
    ...authority === null ? [] : [`authority rewritten to ${authority}`],
    ...path === null
      ? []
      : path.type === "matched"
      ? [`path rewritten: what matched becomes ${path.value}`]
      : [`path rewritten: ${path.match} becomes ${path.substitution}`],
  ];
}

function mirrorText({ cluster, percentage }: Mirror): string {
  return `copies of ${percentage}% to ${placeText(clusterParts(cluster))}`;
}

function retriesText(policy: RetryPolicy): string {
  const { attempts, retryOn, retriableStatusCodes, perTryTimeoutMs, backoffBaseMs, backoffMaxMs } = policy;
  if (attempts === 0) return "no retries";
  const conditions = [...retryOn, ...retriableStatusCodes].join(",");
  return [
    `up to ${attempts} retries on ${conditions}`,
    ...perTryTimeoutMs === null ? [] : [`${perTryTimeoutMs} ms each`],
    `back-off ${backoffBaseMs} to ${backoffMaxMs} ms`,
    ...policy.avoidPreviousHosts ? [] : ["also on endpoints that were tried"],
    ...policy.remoteLocalities ? ["also in other localities"] : [],
  ].join(" ");
}

function faultTexts({ delay, abort }: Fault): string[] {
  return [
    ...delay === null ? [] : [`${delay.percentage}% delayed by ${delay.fixedMs} ms`],
    ...abort === null ? [] : [`${abort.percentage}% aborted with ${abortStatus(abort)}`],
  ];
}

function editTexts(edits: HeaderEdits | undefined, where: string): string[] {
  if (edits === undefined) return [];
  return [
    ...edits.remove.map((name) => `header ${name} removed ${where}`),
    ...edits.set.map(([name, value]) => `header ${name} set to ${JSON.stringify(value)} ${where}`),
    ...edits.add.map(([name, value]) => `header ${name} gets ${JSON.stringify(value)} ${where}`),
    ...(edits.formatted ?? []).map(({ name, replaces, text }) =>
      `header ${name} ${replaces ? "set to" : "gets"} ${JSON.stringify(text)} ${where}`
    ),
  ];
}

function corsText(policy: CorsPolicy): string {
  const origins = policy.allowOrigins.map(stringText).join(" or ");
  const part = (what: string, value: string) => value === "" ? [] : [`${what} ${value}`];
  const rest = [
    ...part("methods", policy.allowMethods),
    ...part("headers", policy.allowHeaders),
    ...part("exposes", policy.exposeHeaders),
    ...policy.maxAgeSeconds === null ? [] : [`for ${policy.maxAgeSeconds} s`],
    ...policy.allowCredentials === null ? [] : [`credentials ${policy.allowCredentials ? "yes" : "no"}`],
    ...policy.unmatchedPreflights === "IGNORE" ? ["answers all other preflights"] : [],
  ];
  return `CORS where the origin ${origins}${rest.length === 0 ? "" : ` (${rest.join(", ")})`}`;
}
