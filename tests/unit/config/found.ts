/** What the analyzers find in resources that are made from their schemas. */
import { analyze } from "../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "./config_texts.ts";

/** `CODE FIELD` of each finding, sorted. */
export function findings(...written: Written[]): string[] {
  return analyze(resourcesOf(written)).map(({ code, field }) => `${code} ${field}`).sort();
}

export const A: Written = ["Service", "a", "selector: {app: a}\nports: [{name: http, port: 80}]"];

/** It does not say what it carries. */
export const SILENT: Written = [
  "Service",
  "a",
  "selector: {app: a}\nports: [{name: http, port: 80, appProtocol: x}]",
];

export const ROUTE = "route: [{destination: {host: a}}]";

export const rules = (
  ...list: string[]
): Written => ["VirtualService", "v", `hosts: [a]\nhttp: [${list.join(", ")}]`];

export const rule = (match: string, more = ROUTE) => `{match: [${match}], ${more}}`;

export const entry = (name: string, labels: string): Written => [
  "WorkloadEntry",
  name,
  `address: 10.0.0.1\nlabels: ${labels}`,
];
