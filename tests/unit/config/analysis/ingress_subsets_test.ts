import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";

const A: Written = ["Service", "a", "selector: {app: a}\nports: [{name: http, port: 80}]"];
const SUBSETS: Written = ["DestinationRule", "a", "host: a\nsubsets: [{name: v1, labels: {version: v1}}]"];
const GATEWAY: Written = [
  "Gateway",
  "front",
  "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]",
];
const rule = (name: string, hosts: string, destination: string, more = ""): Written => [
  "VirtualService",
  name,
  `hosts: [${hosts}]\n${more}\nhttp: [{route: [{destination: ${destination}}]}]`,
];
const INSIDE = rule("inside", "a", "{host: a, subset: v1}");

function found(...rules: Written[]): string[] {
  return analyze(resourcesOf([A, SUBSETS, GATEWAY, ...rules]))
    .filter(({ code }) => code === "IST0140").map(({ resource, field }) => `${resource} ${field}`);
}

describe("ingressSubsets", () => {
  const outside = (destination: string, gateways = "[front]") =>
    rule("outside", "a.com", destination, `gateways: ${gateways}`);

  test("finds a gateway's route that a split in the mesh does not hold for", () => {
    const where = ["VirtualService tutorial/outside spec.http[0].route[0].destination.host"];
    expect(found(INSIDE, outside("{host: a}"))).toEqual(where);
    expect(found(INSIDE, outside("{host: a}", "[front, mesh]"))).toEqual(where);
  });

  test("says nothing where the gateway names a subset, nobody splits, or there is no gateway", () => {
    expect(found(INSIDE, outside("{host: a, subset: v1}"))).toEqual([]);
    expect(found(rule("inside", "a", "{host: a}"), outside("{host: a}"))).toEqual([]);
    expect(found(INSIDE, rule("other", "b.com", "{host: a}"))).toEqual([]);
    // Of another host, and so for callers of that host alone.
    expect(found(rule("other", "b.com", "{host: a, subset: v1}"), outside("{host: a}"))).toEqual([]);
  });
});
