/** Analyzers of routing, each by itself, on specs of which some are not implemented yet. */
import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";
import { A, findings, ROUTE, rule, rules, SILENT } from "../found.ts";

describe("unreachableRules", () => {
  const unreachable = (...list: string[]) => findings(A, rules(...list));

  test("a rule after a catch-all is never reached", () => {
    expect(unreachable(`{${ROUTE}}`, rule("{uri: {prefix: /a}}"))).toEqual(["IST0130 spec.http[1]"]);
    expect(unreachable(rule("{uri: {prefix: /}}"), `{${ROUTE}}`)).toEqual(["IST0130 spec.http[1]"]);
    expect(unreachable(rule("{uri: {prefix: /a}}"), `{${ROUTE}}`)).toEqual([]);
  });

  test("a rule whose alternatives are all taken is never reached, one of them alone is without effect", () => {
    const first = rule("{uri: {exact: /a}}, {uri: {prefix: /b}}");
    expect(unreachable(first, rule("{uri: {exact: /b/c}}, {uri: {exact: /a}}"))).toEqual([
      "IST0130 spec.http[1]",
    ]);
    expect(unreachable(first, rule("{uri: {exact: /b/c}}, {uri: {exact: /c}}"))).toEqual([
      "IST0131 spec.http[1].match[0]",
    ]);
    expect(unreachable(rule("{uri: {exact: /a}}, {uri: {exact: /a}}"))).toEqual([
      "IST0131 spec.http[0].match[1]",
    ]);
  });

  test("an earlier match with fewer conditions takes a later one with more", () => {
    const headers = (text: string) => rule(`{headers: {${text}}}`);
    expect(unreachable(headers("a: {exact: x}"), headers("a: {exact: x}, b: {}"))).toHaveLength(1);
    expect(unreachable(headers("a: {}"), headers("a: {regex: x.*}"))).toHaveLength(1);
    expect(unreachable(headers("a: {prefix: x}"), headers("a: {exact: xy}"))).toHaveLength(1);
    expect(unreachable(headers("a: {regex: x.*}"), headers("a: {regex: x.*}"))).toHaveLength(1);
    expect(unreachable(headers("a: {exact: x}, b: {}"), headers("a: {exact: x}"))).toEqual([]);
    expect(unreachable(headers("a: {exact: x}"), headers("a: {}"))).toEqual([]);
    expect(unreachable(headers("a: {regex: x.*}"), headers("a: {exact: xy}"))).toEqual([]);
  });

  test("each condition counts: method, query, absence, port, source, gateways, case", () => {
    const pairs: [string, string, number][] = [
      ["{method: {exact: GET}}", "{method: {exact: GET}, uri: {exact: /a}}", 1],
      ["{method: {exact: GET}}", "{uri: {exact: /a}}", 0],
      ["{queryParams: {q: {}}}", "{queryParams: {q: {exact: x}}}", 1],
      ["{withoutHeaders: {a: {}}}", "{withoutHeaders: {a: {}}, uri: {exact: /a}}", 1],
      ["{withoutHeaders: {a: {}}}", "{uri: {exact: /a}}", 0],
      ["{port: 80}", "{port: 80, uri: {exact: /a}}", 1],
      ["{port: 80}", "{uri: {exact: /a}}", 0],
      ["{sourceLabels: {app: a}}", "{sourceLabels: {app: a}, sourceNamespace: n}", 1],
      ["{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", 0],
      ["{sourceNamespace: n}", "{sourceNamespace: m}", 0],
      ["{gateways: [mesh], uri: {exact: /a}}", "{uri: {exact: /a}}", 1],
      ["{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {exact: /abc}}", 1],
      ["{uri: {prefix: /a}}", "{uri: {prefix: /A}, ignoreUriCase: true}", 0],
    ];
    for (const [first, second, count] of pairs) {
      expect([first, second, unreachable(rule(first), rule(second)).length]).toEqual([first, second, count]);
    }
  });

  test("a rule is blamed for what its delegate takes, and not for what that leaves or drops", () => {
    const delegate = (match: string) => `{match: [${match}], delegate: {name: leaf}}`;
    const leaf = (...list: string[]): Written => ["VirtualService", "leaf", `http: [${list.join(", ")}]`];
    const found = (...written: Written[]) =>
      findings(A, ...written).filter((one) => one.startsWith("IST013"));
    const at = (path: string) => rule(`{uri: {prefix: ${path}}}`);
    const later = at("/pay/later");
    // The delegate leaves /pay/later; it takes it; it is not there at all; its rule is dropped.
    expect(found(rules(delegate("{uri: {prefix: /pay}}"), later), leaf(at("/pay/now")))).toEqual([]);
    expect(found(rules(delegate("{uri: {prefix: /pay}}"), later), leaf(`{${ROUTE}}`))).toEqual([
      "IST0130 spec.http[1]",
    ]);
    expect(found(rules(delegate("{uri: {prefix: /pay}}"), later))).toEqual([]);
    expect(found(rules(delegate("{uri: {prefix: /pay}}"), later), leaf(at("/refunds")))).toEqual([]);
    // Among the delegate's own rules a dropped one takes nothing, in either of two places.
    const twice = rules(delegate("{uri: {prefix: /a}}"), delegate("{uri: {prefix: /b}}"));
    expect(found(twice, leaf(at("/a"), at("/a/x"), at("/b"), at("/b/x")))).toEqual([
      "IST0130 spec.http[1]",
      "IST0130 spec.http[3]",
    ]);
    const other = rule("{method: {exact: GET}, uri: {prefix: /c}}");
    expect(found(twice, leaf(other, rule("{method: {exact: GET}}")))).toEqual([]);
  });

  test("a delegate's rule is never reached if none of those who delegate to it leaves it anything", () => {
    const to = (name: string, first: string): Written => [
      "VirtualService",
      name,
      `hosts: [${name}.test]\nhttp: [${first}, {delegate: {name: leaf}}]`,
    ];
    const leaf: Written = ["VirtualService", "leaf", `http: [{match: [{uri: {prefix: /a/b}}], ${ROUTE}}]`];
    const messages = (...written: Written[]) =>
      analyze(resourcesOf([A, ...written])).filter(({ code }) => code === "IST0130").map((
        { resource, message },
      ) => `${resource}: ${message}`);
    const takes = rule("{uri: {prefix: /a}}");
    const leaves = rule("{uri: {prefix: /a/c}}");
    expect(messages(to("one", takes), leaf)).toEqual([
      "VirtualService tutorial/leaf: the rule is never reached: http[0] of VirtualService tutorial/one takes all that " +
      "it would match",
    ]);
    expect(messages(to("one", takes), to("two", leaves), leaf)).toEqual([]);
  });

  test("rules of TCP and TLS are looked at by themselves", () => {
    const v: Written = [
      "VirtualService",
      "v",
      `hosts: [a]\nhttp: [{${ROUTE}}]\ntcp: [{match: [{port: 80}], ${ROUTE}}, {match: [{port: 80}], ${ROUTE}}, {${ROUTE}}]\n` +
      `tls: [{match: [{sniHosts: [a]}], ${ROUTE}}, {match: [{sniHosts: [a], port: 80}], ${ROUTE}}]`,
    ];
    expect(findings(SILENT, v)).toEqual(["IST0130 spec.tcp[1]", "IST0130 spec.tls[1]"]);
  });
});

describe("gateways", () => {
  const gateway = (hosts: string): Written => [
    "Gateway",
    "front",
    `selector: {app: b}\nservers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [${hosts}]}]`,
  ];
  const bound = (host: string, gateways: string): Written => [
    "VirtualService",
    "v",
    `hosts: [${host}]\ngateways: [${gateways}]\nhttp: [{${ROUTE}}]`,
  ];

  test("gatewayReference finds gateways that nothing defines", () => {
    expect(findings(A, gateway('"*"'), bound("a.com", "front, tutorial/front, other/front, mesh"))).toEqual([
      "IST0101 spec.gateways[2]",
    ]);
    expect(findings(A, rules(rule("{gateways: [nobody]}")))).toEqual([
      "IST0101 spec.http[0].match[0].gateways[0]",
    ]);
  });

  test("gatewayHosts finds hosts that no server has", () => {
    expect(findings(A, gateway('"*.a.com"'), bound("x.a.com", "front"))).toEqual([]);
    expect(findings(A, gateway('"*.a.com"'), bound("a.com", "front"))).toContain("IST0132 spec.hosts[0]");
    expect(findings(A, gateway("./b.com"), bound("b.com", "front"))).toEqual([]);
    expect(findings(A, gateway("other/b.com"), bound("b.com", "front"))).toContain("IST0132 spec.hosts[0]");
  });

  test("gatewayHosts lets each host be for another gateway, or for the mesh", () => {
    const other: Written = [
      "Gateway",
      "side",
      "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [b.com]}]",
    ];
    const front = gateway("a.com");
    const hostFindings = (...written: Written[]) =>
      findings(A, ...written).filter((one) => one.startsWith("IST0132"));
    expect(hostFindings(front, other, bound("a.com, b.com", "front, side"))).toEqual([]);
    expect(hostFindings(front, other, bound("a.com, c.com", "front, side"))).toEqual([
      "IST0132 spec.gateways",
      "IST0132 spec.hosts[1]",
    ]);
    expect(hostFindings(front, other, bound("a.com", "front, side"))).toEqual(["IST0132 spec.gateways"]);
    expect(hostFindings(front, bound("a, a.com", "front, mesh"))).toEqual([]);
    expect(hostFindings(front, bound("a", "front, mesh"))).toEqual(["IST0132 spec.gateways"]);
  });

  test("meshLeftOut finds a service of the mesh that sidecars do not route", () => {
    expect(findings(A, gateway('"*"'), bound("a", "front"))).toEqual(["BOW0012 spec.gateways"]);
    expect(findings(A, gateway('"*"'), bound("a", "front, mesh"))).toEqual([]);
    expect(findings(A, gateway('"*"'), bound("a.com", "front"))).toEqual([]);
  });
});

describe("delegates", () => {
  const parent = (name: string) => rules(`{delegate: {name: ${name}}}`);
  const child = (more = ""): Written => ["VirtualService", "child", `${more}\nhttp: [{${ROUTE}}]`];

  test("a delegate is there, has no hosts, and is used", () => {
    expect(findings(A, parent("child"), child())).toEqual([]);
    expect(findings(A, parent("chidl"), child())).toEqual([
      "BOW0021 spec",
      "IST0101 spec.http[0].delegate.name",
    ]);
    expect(findings(A, parent("child"), child("hosts: ['*.svc.cluster.local']"))).toEqual([
      "IST0101 spec.http[0].delegate.name",
    ]);
    expect(findings(A, child())).toEqual(["BOW0021 spec"]);
  });
});

describe("destinations", () => {
  test("destinations of mirrors, TCP and TLS are followed too", () => {
    const v: Written = [
      "VirtualService",
      "v",
      "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], mirror: {host: b}}, {match: [{port: 80}], " +
      "route: [{destination: {host: a}}], mirrors: [{destination: {host: c}}]}]\n" +
      "tcp: [{route: [{destination: {host: d}}]}]\ntls: [{match: [{sniHosts: [a]}], route: [{destination: {host: e}}]}]",
    ];
    expect(findings(SILENT, v)).toEqual([
      "IST0101 spec.http[0].mirror.host",
      "IST0101 spec.http[1].mirrors[0].destination.host",
      "IST0101 spec.tcp[0].route[0].destination.host",
      "IST0101 spec.tls[0].route[0].destination.host",
      "IST0130 spec.http[1]",
    ]);
  });
});

describe("weights", () => {
  const weighted = (...weights: string[]) =>
    findings(
      A,
      rules(`{route: [${weights.map((weight) => `{destination: {host: a}${weight}}`).join(", ")}]}`),
    );

  test("a single destination's weight, and a weight of 0 among several, do not say what they seem to", () => {
    expect(weighted("")).toEqual([]);
    expect(weighted(", weight: 100")).toEqual([]);
    expect(weighted(", weight: 20")).toEqual(["BOW0011 spec.http[0].route[0].weight"]);
    expect(weighted(", weight: 20", ", weight: 80")).toEqual([]);
    expect(weighted(", weight: 20", ", weight: 0")).toEqual(["BOW0011 spec.http[0].route[1].weight"]);
    expect(weighted(", weight: 20", "")).toEqual(["BOW0011 spec.http[0].route[1]"]);
  });
});

describe("resilience", () => {
  const with_ = (more: string) => findings(A, rules(`{${ROUTE}, ${more}}`));

  test("retries without attempts are off, with an explicit 0 they are meant to be", () => {
    expect(with_("retries: {}")).toEqual(["BOW0013 spec.http[0].retries"]);
    expect(with_("retries: {attempts: 0}")).toEqual([]);
    expect(with_("retries: {attempts: 1}")).toEqual([]);
  });

  test("a fault without a percentage concerns nothing, with an explicit 0 it is meant to", () => {
    expect(with_("fault: {abort: {httpStatus: 500}}")).toEqual(["BOW0014 spec.http[0].fault.abort"]);
    expect(with_("fault: {delay: {fixedDelay: 1s}}")).toEqual(["BOW0014 spec.http[0].fault.delay"]);
    expect(with_("fault: {abort: {httpStatus: 500, percentage: {value: 0}}}")).toEqual([]);
    expect(with_("fault: {delay: {fixedDelay: 1s, percent: 0}}")).toEqual([]);
  });

  test("timeout and retries are off beside a fault", () => {
    const fault = "fault: {abort: {httpStatus: 500, percentage: {value: 50}}}";
    expect(with_(`${fault}, timeout: 1s, retries: {attempts: 1}`)).toEqual([
      "BOW0015 spec.http[0].retries",
      "BOW0015 spec.http[0].timeout",
    ]);
  });
});
