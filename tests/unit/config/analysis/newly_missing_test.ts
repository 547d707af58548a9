import { describe, expect, test } from "bun:test";
import { newlyMissing } from "../../../../src/config/analysis/newly_missing.ts";
import { resourcesOf, type Written } from "../config_texts.ts";

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

  test("newlyMissing() finds a rule that leads to gateways before they serve at the port, and a server that goes first", () => {
    const edge: readonly Written[] = [
      ["WorkloadEntry", "edge", "address: 10.0.0.9\nlabels: {app: edge}"],
      [
        "Service",
        "edge",
        "selector: {app: edge}\nports: [{name: a, port: 80}, {name: b, port: 81, targetPort: 8081}]",
      ],
    ];
    const gateway = (ports: readonly number[], selector = "selector: {app: edge}"): Written => [
      "Gateway",
      "edge",
      `${selector}\nservers: [${
        ports.map((port) => `{port: {number: ${port}, name: s-${port}, protocol: HTTP}, hosts: ["*"]}`)
      }]`,
    ];
    const rule = to("{host: edge, port: {number: 81}}");
    const missing = ["VirtualService tutorial/v spec.http[0].route[0].destination"];
    const before = [SERVICE, ...edge, gateway([80])];
    expect(step(before, [...before, rule])).toEqual(missing);
    const after = [SERVICE, ...edge, gateway([80, 8081]), rule];
    expect(step(before, after)).toEqual([]);
    expect(step(after, [...before, rule])).toEqual(missing);
    expect(step(before, [...before, to("{host: edge, port: {number: 80}}")])).toEqual([]);
    // Nobody knows what else is at the workloads, or which gateways serve.
    expect(step([], [SERVICE, ...edge, rule])).toEqual([]);
    expect(step([], [SERVICE, ...edge, gateway([80], "selector: {app: other}"), rule])).toEqual([]);
    expect(step([], [SERVICE, ...edge, gateway([80], "selector: {}"), rule])).toEqual([]);
  });

  test("newlyMissing() finds a rule that leads to gateways before they route the host, and a host that goes first", () => {
    const edge: readonly Written[] = [
      SERVICE,
      ["WorkloadEntry", "edge", "address: 10.0.0.9\nlabels: {app: edge}"],
      ["Service", "edge", "selector: {app: edge}\nports: [{name: http, port: 80}]"],
    ];
    const gateway = (hosts: string, protocol = "HTTP"): Written => [
      "Gateway",
      "edge",
      `selector: {app: edge}\nservers: [{port: {number: 80, name: a, protocol: ${protocol}}, hosts: [${hosts}]}]`,
    ];
    const atEdge = (hosts: string, name = "edge"): Written => [
      "VirtualService",
      name,
      `hosts: [${hosts}]\ngateways: [edge]\nhttp: [{route: [{destination: {host: a}}]}]`,
    ];
    const call = (hosts: string, more = ""): Written => [
      "VirtualService",
      "v",
      `hosts: [${hosts}]\nhttp: [{${more} route: [{destination: {host: edge}}]}]`,
    ];
    const missing = ["VirtualService tutorial/v spec.http[0].route[0].destination"];
    const before = [...edge, gateway("one.test"), atEdge("one.test")];
    const rewritten = (to: string) => call("a", `rewrite: {authority: "${to}"},`);
    for (
      const rule of [
        rewritten("two.test"),
        rewritten("two.test:80"),
        call("two.test"),
        call("one.test, two.test"),
      ]
    ) {
      expect([rule, step(before, [...before, rule])]).toEqual([rule, missing]);
      const half = [...edge, gateway("one.test, two.test"), atEdge("one.test"), rule];
      expect([rule, step(before, half)]).toEqual([rule, missing]);
      const whole = [...edge, gateway("'*.test'"), atEdge("one.test"), atEdge("two.test", "two"), rule];
      expect([rule, step(before, whole)]).toEqual([rule, []]);
      expect([rule, step(whole, [...before, rule])]).toEqual([rule, missing]);
    }
    // Whoever asks for one that is there, or for what nobody can tell.
    for (
      const rule of [
        call("one.test"),
        call("a"),
        call("'*.test'"),
        call("two.test", "headers: {request: {set: {host: one.test}}},"),
        call("two.test", "match: [{gateways: [edge]}],"),
      ]
    ) expect([rule, step(before, [...before, rule])]).toEqual([rule, []]);
    const bytes = [...edge, gateway("one.test", "TCP")];
    expect(step(bytes, [...bytes, call("two.test")])).toEqual([]);
  });
});
