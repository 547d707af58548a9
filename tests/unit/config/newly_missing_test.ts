import { describe, expect, test } from "bun:test";
import { newlyMissing } from "../../../src/config/analysis/newly_missing.ts";
import { resourcesOf, type Written } from "./config_texts.ts";

const SERVICE: Written = ["Service", "a", "selector: {app: a}\nports: [{name: http, port: 80}]"];
const SUBSETS: Written = ["DestinationRule", "a", "host: a\nsubsets: [{name: v1, labels: {version: v1}}]"];
const to = (destination: string): Written => [
  "VirtualService",
  "v",
  `hosts: [a]\nhttp: [{route: [{destination: ${destination}}]}]`,
];

/** `RESOURCE FIELD` of what is missing after the step. */
function step(before: readonly Written[], next: readonly Written[]): string[] {
  return newlyMissing(resourcesOf([...next]), resourcesOf([...before]))
    .map(({ resource, field }) => `${resource} ${field}`);
}

describe("newlyMissing()", () => {
  const subset = "VirtualService tutorial/v spec.http[0].route[0].destination.subset";
  const v1 = to("{host: a, subset: v1}");

  test("newlyMissing() finds a rule that comes before its subset, and a subset that goes before its rule", () => {
    expect(step([SERVICE], [SERVICE, v1])).toEqual([subset]);
    expect(step([SERVICE, SUBSETS, v1], [SERVICE, v1])).toEqual([subset]);
    expect(step([SERVICE], [SERVICE, SUBSETS, v1])).toEqual([]);
    expect(step([SERVICE, SUBSETS, v1], [SERVICE])).toEqual([]);
  });

  test("newlyMissing() finds a host that goes before its rule, and comes after it", () => {
    const host = "VirtualService tutorial/v spec.http[0].route[0].destination.host";
    expect(step([SERVICE, to("{host: a}")], [to("{host: a}")])).toEqual([host]);
    expect(step([SERVICE], [SERVICE, to("{host: b}")])).toEqual([host]);
  });

  test("newlyMissing() finds a port that its service loses", () => {
    const both: Written = [
      "Service",
      "a",
      "selector: {app: a}\nports: [{name: http, port: 80}, {name: x, port: 81}]",
    ];
    const port = "VirtualService tutorial/v spec.http[0].route[0].destination.port.number";
    const rule = to("{host: a, port: {number: 81}}");
    expect(step([both, rule], [SERVICE, rule])).toEqual([port]);
  });

  test("newlyMissing() is silent about what was missing before", () => {
    expect(step([SERVICE, v1], [SERVICE, v1, ["Service", "b", "ports: [{name: http, port: 80}]"]]))
      .toEqual([]);
    expect(step([SERVICE, v1], [SERVICE, to("{host: a, subset: v2}")])).toEqual([subset]);
  });
});
