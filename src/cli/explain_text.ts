/** The answer of `explain` as prose: who calls what, which rule takes it, where it goes, and what was passed over. */
import type { RouteOrigin } from "../model/snapshot.ts";
import type {
  Explained,
  ExplainedDestination,
  ExplainedRule,
  Explanation,
} from "../proxy/explain/explanation.ts";
import { formatTable, printable } from "./output.ts";

const WEIGHT_WIDTH = 8;

export function explainText(explained: Explained): string {
  const { explanation } = explained;
  const { from, method, url, service } = explanation;
  const target = service === null ? "" : `, which is ${service}`;
  const paragraphs = [
    [`${from} calls ${method} ${url}${target}.`],
    decision(explained),
    ...explanation.destinations.map((destination, index) => destinationLines(destination, index, explained)),
    passedOver(explained),
    retries(explanation),
    explained.notes.filter(({ destination }) => destination === null).map(({ text }) => text),
  ];
  return paragraphs.filter((lines) => lines.length > 0).map((lines) => lines.map(printable).join("\n")).join(
    "\n\n",
  );
}

/** What happens, and because of which line in which file. */
function decision({ explanation, origins }: Explained): string[] {
  const { action, trace, destinations } = explanation;
  const last = trace.at(-1);
  const why = last?.why ?? "the service has no rule";
  switch (action) {
    case "forward": {
      const many = destinations.length > 1 ? "It is divided among:" : "It goes to:";
      const rule = last === undefined ? null : ruleName(last, origins.at(-1) ?? null);
      const [first, rest] = rule === null ? [why, ""] : [`${rule} takes it`, `: ${why}`];
      return [`${first.charAt(0).toUpperCase()}${first.slice(1)}${rest}.`, many];
    }
    case "passthrough":
      return [`It is passed on as it is, outside the mesh: ${why}.`];
    case "blocked":
      return [`It is answered 502, since only known services may be called (REGISTRY_ONLY): ${why}.`];
    case "not-found":
      return ["No rule takes it, so it is answered 404 NR."];
  }
}

function destinationLines(
  { host, port, subset, weight, endpoints }: ExplainedDestination,
  index: number,
  { notes }: Explained,
): string[] {
  const place = subset === null ? `${host}:${port}` : `${host}:${port}, subset ${subset}`;
  const indent = " ".repeat(WEIGHT_WIDTH);
  const [, ...rows] = formatTable(
    [{ title: "" }, { title: "" }, { title: "" }],
    endpoints.map(({ address, workload, mtls }) => [address, workload, mtls ? "mTLS" : "plain text"]),
  ).split("\n");
  const own = notes.filter(({ destination }) => destination === index).map(({ text }) => text);
  return [
    `${`${weight}%`.padStart(WEIGHT_WIDTH - 2)}  ${place}`,
    ...[...rows, ...own].map((line) => indent + line),
  ];
}

function passedOver({ explanation, origins }: Explained): string[] {
  const lines = explanation.trace.flatMap((rule, index) => {
    const name = ruleName(rule, origins[index] ?? null);
    return rule.matched || name === null ? [] : [`  ${name}: ${rule.why}`];
  });
  return lines.length === 0 ? [] : ["Passed over:", ...lines];
}

function retries({ retries, destinations }: Explanation): string[] {
  if (retries === null || destinations.every(({ endpoints }) => endpoints.length === 0)) return [];
  return [`A call that cannot have been acted on is tried up to ${retries.attempts} more times.`];
}

/** Null where no VirtualService has a say. */
function ruleName({ virtualService, rule }: ExplainedRule, origin: RouteOrigin | null): string | null {
  if (virtualService === null) return null;
  const place = origin === null ? "" : ` (${origin.file}:${origin.line})`;
  return `rule ${rule} of VirtualService ${virtualService}${place}`;
}
