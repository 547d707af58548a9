/** Each analyzer by itself, on specs of which some are not implemented yet: resources are made from their schemas. */
import { describe, expect, test } from "bun:test";
import { analyze } from "../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "./config_texts.ts";

/** `CODE FIELD` of each finding, sorted. */
function findings(...written: Written[]): string[] {
  return analyze(resourcesOf(written)).map(({ code, field }) => `${code} ${field}`).sort();
}

const A: Written = ["Service", "a", "selector: {app: a}\nports: [{name: http, port: 80}]"];
/** It does not say what it carries. */
const SILENT: Written = [
  "Service",
  "a",
  "selector: {app: a}\nports: [{name: http, port: 80, appProtocol: x}]",
];
const ROUTE = "route: [{destination: {host: a}}]";
const rules = (
  ...list: string[]
): Written => ["VirtualService", "v", `hosts: [a]\nhttp: [${list.join(", ")}]`];
const rule = (match: string, more = ROUTE) => `{match: [${match}], ${more}}`;
const entry = (name: string, labels: string): Written => [
  "WorkloadEntry",
  name,
  `address: 10.0.0.1\nlabels: ${labels}`,
];

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

describe("DestinationRules", () => {
  const dr = (spec: string, name = "d"): Written => ["DestinationRule", name, `host: a\n${spec}`];
  const policy = (text: string) => dr(`trafficPolicy: ${text}`);

  test("serverVerification finds TLS that does not verify the server", () => {
    expect(findings(A, policy("{tls: {mode: SIMPLE}}"))).toEqual([]);
    expect(findings(A, policy("{tls: {mode: SIMPLE, insecureSkipVerify: true}}"))).toEqual([
      "IST0128 spec.trafficPolicy.tls",
    ]);
    expect(findings(A, policy("{tls: {mode: SIMPLE, caCertificates: /ca.pem}}"))).toEqual([]);
    expect(findings(A, policy("{tls: {mode: ISTIO_MUTUAL}}"))).toEqual([]);
    expect(
      findings(
        A,
        policy("{portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, insecureSkipVerify: true}}]}"),
      ),
    ).toEqual([
      "IST0129 spec.trafficPolicy.portLevelSettings[0].tls",
    ]);
  });

  test("ejectionShare finds outlier detection whose share is less than one endpoint", () => {
    const members = (count: number) =>
      Array.from({ length: count }, (_, i) => entry(`w${i}`, "{app: a, v: x}"));
    const of = (count: number, spec: string) =>
      findings(A, ...members(count), policy(`{outlierDetection: ${spec}}`));
    expect(of(9, "{}")).toEqual(["BOW0022 spec.trafficPolicy.outlierDetection"]);
    expect(of(10, "{}")).toEqual([]);
    expect(of(2, "{maxEjectionPercent: 49}")).toHaveLength(1);
    expect(of(2, "{maxEjectionPercent: 50}")).toEqual([]);
    expect(of(0, "{}")).toEqual([]);
    const subset = dr("subsets: [{name: x, labels: {v: x}, trafficPolicy: {outlierDetection: {}}}]");
    expect(findings(A, ...members(9), subset)).toContain(
      "BOW0022 spec.subsets[0].trafficPolicy.outlierDetection",
    );
  });

  test("localityFailover finds failing over without outlier detection", () => {
    const balancer = "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}";
    expect(findings(A, policy(`{${balancer}}`))).toEqual([
      "BOW0016 spec.trafficPolicy.loadBalancer.localityLbSetting",
    ]);
    expect(findings(A, policy(`{${balancer}, outlierDetection: {}}`))).toEqual([]);
  });

  test("subsetEndpoints finds labels that no endpoint has", () => {
    const subset = dr("subsets: [{name: v1, labels: {version: v1}}, {name: v9, labels: {version: v9}}]");
    expect(findings(A, subset, entry("w", "{app: a, version: v1}"))).toEqual([
      "IST0173 spec.subsets[1].labels",
    ]);
    expect(findings(A, subset)).toEqual([]);
    expect(findings(A, subset, entry("w", "{app: other}"))).toEqual([]);
  });

  test("subsetEndpoints takes a workload's locality for the labels of its place", () => {
    const subset = dr(
      "subsets: [{name: eu, labels: {topology.kubernetes.io/region: eu}}, {name: z2, labels: {topology.kubernetes.io/zone: z2}}]",
    );
    const placed: Written = ["WorkloadEntry", "w", "address: 10.0.0.1\nlabels: {app: a}\nlocality: eu/z1"];
    expect(findings(A, subset, placed)).toEqual(["IST0173 spec.subsets[1].labels"]);
  });

  test("subsetPolicies finds policies of subsets that no route names", () => {
    const subset = dr("subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]");
    expect(findings(A, subset)).toEqual(["BOW0017 spec.subsets[0].trafficPolicy"]);
    expect(findings(A, subset, rules("{route: [{destination: {host: a, subset: v1}}]}"))).toEqual([]);
  });

  test("destinationRuleOrder finds what a second rule of a namespace says in vain", () => {
    const spec = "trafficPolicy: {loadBalancer: {simple: RANDOM}}\nsubsets: [{name: v1}]";
    expect(findings(A, dr(spec), dr(spec, "e"))).toEqual([
      "BOW0019 spec.subsets[0].name",
      "BOW0019 spec.trafficPolicy",
    ]);
  });

  test("destinationRuleOrder finds subsets that a rule of the caller's namespace hides", () => {
    const other: Written = ["DestinationRule", "e", "host: a.tutorial.svc.cluster.local", "other"];
    expect(findings(A, dr("subsets: [{name: v1}]"), other)).toEqual(["BOW0018 spec.host"]);
    expect(findings(A, dr("exportTo: ['*']"), other)).toEqual([]);
    expect(findings(A, dr("subsets: [{name: v1}]\nexportTo: ['.']"), other)).toEqual([]);
    expect(findings(A, dr("subsets: [{name: v1}]\nworkloadSelector: {matchLabels: {app: a}}"), other))
      .toEqual([]);
  });
});

describe("services and workloads", () => {
  test("portNames finds names that say no protocol", () => {
    const named = (port: string): Written => ["Service", "s", `selector: {app: s}\nports: [${port}]`];
    expect(findings(named("{name: web, port: 1}"))).toEqual(["IST0118 spec.ports[0].name"]);
    expect(findings(named("{port: 1}"))).toEqual(["IST0118 spec.ports[0]"]);
    for (const name of ["http", "http-web", "grpc-web", "tcp"]) {
      expect(findings(named(`{name: ${name}, port: 1}`))).toEqual([]);
    }
    expect(findings(named("{name: web, port: 1, appProtocol: http}"))).toEqual([]);
  });

  test("protocolConflict finds one port with two protocols", () => {
    const external = (name: string, protocol: string): Written => [
      "ServiceEntry",
      name,
      `hosts: [x.com]\nports: [{number: 80, name: p, protocol: ${protocol}}]`,
    ];
    expect(findings(external("a", "HTTP"), external("b", "TCP"))).toEqual(["IST0177 spec.ports[0]"]);
    expect(findings(external("a", "HTTP"), external("b", "http"))).toEqual([]);
    const inNamespace = (namespace: string, protocol: string, exportTo: string): Written => [
      "ServiceEntry",
      "e",
      `hosts: [x.com]\nexportTo: [${exportTo}]\nports: [{number: 80, name: p, protocol: ${protocol}}]`,
      namespace,
    ];
    expect(findings(inNamespace("n1", "HTTP", "."), inNamespace("n2", "HTTPS", "."))).toEqual([]);
    expect(findings(inNamespace("n1", "HTTP", "n2"), inNamespace("n2", "HTTPS", "."))).toEqual([
      "IST0177 spec.ports[0]",
    ]);
  });

  test("protocolConflict finds one port of a workload with two protocols, by two Services", () => {
    const named = (name: string, port: string, selector = "{app: s}"): Written => [
      "Service",
      name,
      `selector: ${selector}\nports: [${port}]`,
    ];
    const web = named("a", "{name: http, port: 80, targetPort: 8080}");
    const workloads = [entry("w1", "{app: s}"), entry("w2", "{app: s, version: v2}")];
    const conflict = ["IST0177 spec.ports[0]"];
    expect(findings(...workloads, web, named("b", "{name: grpc, port: 90, targetPort: 8080}"))).toEqual(
      conflict,
    );
    expect(findings(...workloads, web, named("b", "{name: grpc, port: 8080}", "{version: v2}"))).toEqual(
      conflict,
    );
    expect(findings(...workloads, web, named("b", "{name: http-x, port: 8080}"))).toEqual([]);
    expect(findings(...workloads, web, named("b", "{name: grpc, port: 8081}"))).toEqual([]);
    expect(
      findings(
        ...workloads,
        entry("w3", "{app: o}"),
        web,
        named("b", "{name: grpc, port: 8080}", "{app: o}"),
      ),
    )
      .toEqual([]);
  });

  test("ineffectiveSelectors finds selectors of nothing, but for what may join by its name", () => {
    const sidecar = (labels: string): Written => ["Sidecar", "s", `workloadSelector: {labels: ${labels}}`];
    expect(findings(sidecar("{app: x, version: v1}"))).toEqual(["IST0127 spec.workloadSelector"]);
    expect(findings(sidecar("{app: x, version: v1}"), entry("w", "{app: x, version: v1}"))).toEqual([]);
    expect(findings(sidecar("{app: x}"))).toEqual([]);
    const group: Written = ["WorkloadGroup", "g", "metadata: {labels: {app: x, version: v1}}\ntemplate: {}"];
    expect(findings(sidecar("{app: x, version: v1}"), group)).toEqual([]);
  });

  test("ineffectiveSelectors looks into all namespaces for a policy of the root namespace", () => {
    const policy: Written = [
      "PeerAuthentication",
      "p",
      "selector: {matchLabels: {tier: db}}",
      "istio-system",
    ];
    expect(findings(policy)).toEqual(["IST0127 spec.selector"]);
    expect(findings(policy, entry("w", "{tier: db}"))).toEqual([]);
  });

  test("singleResources finds seconds of what there can be only one", () => {
    const sidecar = (name: string, spec: string): Written => ["Sidecar", name, spec];
    const all = 'egress: [{hosts: ["*/*"]}]';
    expect(findings(sidecar("a", all), sidecar("b", all))).toEqual(["IST0111 spec"]);
    const some = "workloadSelector: {labels: {app: x}}";
    expect(findings(sidecar("a", some), sidecar("b", some), entry("w", "{app: x}"))).toEqual([
      "IST0110 spec.workloadSelector",
    ]);
    expect(findings(sidecar("a", some), sidecar("b", all))).toEqual([]);
    const mesh = (name: string): Written => ["MeshConfig", name, "enableAutoMtls: true"];
    expect(findings(mesh("a"), mesh("b"))).toEqual(["BOW0020 spec"]);
  });
});

describe("policies", () => {
  const policy = (spec: string): Written => ["AuthorizationPolicy", "p", spec];
  const TCP: Written = ["Service", "d", "selector: {app: d}\nports: [{name: tcp-d, port: 90}]"];
  const path = "to: [{operation: {paths: [/a]}}]";

  test("a selector that selects nothing has no effect", () => {
    const selector = "selector: {matchLabels: {tier: x}}";
    const others: Written[] = [["PeerAuthentication", "q", selector], [
      "RequestAuthentication",
      "r",
      selector,
    ]];
    expect(findings(policy(selector), ...others)).toEqual(Array<string>(3).fill("IST0127 spec.selector"));
    expect(findings(policy(selector), entry("a", "{tier: x}"))).toEqual([]);
  });

  test("a rule about HTTP for workloads with ports of TCP means something else there", () => {
    const found = (spec: string) =>
      findings(policy(spec), A, TCP, entry("d", "{app: d}"), entry("a", "{app: a}"));
    expect(found(`rules: [{}, {${path}}]`)).toEqual(["BOW0031 spec.rules[1]"]);
    expect(found(`selector: {matchLabels: {app: a}}\nrules: [{${path}}]`)).toEqual([]);
    expect(found("rules: [{to: [{operation: {paths: [/a], ports: ['80']}}]}]")).toEqual([]);
    expect(found("rules: [{from: [{source: {namespaces: [a]}}]}]")).toEqual([]);
  });

  const verifier = (more = ""): Written => [
    "RequestAuthentication",
    "r",
    `${more}\njwtRules: [{issuer: "https://issuer.test"}]`,
  ];
  const app = (name: string) => `selector: {matchLabels: {app: ${name}}}`;

  test.each([
    "from: [{source: {requestPrincipals: ['*']}}]",
    "from: [{source: {notRequestPrincipals: ['*']}}]",
    "when: [{key: request.auth.audiences, values: [a]}]",
    "when: [{key: 'request.auth.claims[a]', notValues: [b]}]",
  ])("the rule {%s} needs somebody who verifies tokens", (rule) => {
    const entries = [entry("a", "{app: a}"), entry("b", "{app: b}")];
    const found = (more: string, ...verifiers: Written[]) =>
      findings(policy(`${more}\nrules: [{}, {${rule}}]`), ...verifiers, ...entries);
    expect(found("")).toEqual(["BOW0032 spec.rules[1]"]);
    expect(found("", verifier())).toEqual([]);
    expect(found("", verifier(app("a")))).toEqual(["BOW0032 spec.rules[1]"]);
    expect(found(app("a"), verifier(app("a")))).toEqual([]);
    expect(found(app("a"), verifier(app("b")))).toEqual(["BOW0032 spec.rules[1]"]);
    // Of a workload that joins by a token alone no more is known than what the policy asks for.
    expect(found(app("c"), verifier(app("c")))).toEqual([]);
    expect(found(app("c"), ["RequestAuthentication", "r", app("c")])).toEqual(["BOW0032 spec.rules[1]"]);
  });

  test("a route by claims needs a gateway that verifies tokens", () => {
    const gateway: Written = [
      "Gateway",
      "g",
      "selector: {istio: edge}\nservers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]",
    ];
    const claim = (field: string) => rule(`{${field}: {"@request.auth.claims.a": {exact: b}}}`);
    const found = (gateways: string, field: string, ...verifiers: Written[]) =>
      findings(A, gateway, entry("a", "{app: a}"), ...verifiers, [
        "VirtualService",
        "v",
        `hosts: [a]\ngateways: [${gateways}]\nhttp: [${claim(field)}]`,
      ]).filter((one) => one.startsWith("IST0149"));
    expect(found("g", "headers")).toEqual(["IST0149 spec.http[0].match[0].headers"]);
    expect(found("g", "withoutHeaders")).toEqual(["IST0149 spec.http[0].match[0].withoutHeaders"]);
    expect(found("g", "headers", verifier())).toEqual([]);
    expect(found("g", "headers", verifier("selector: {matchLabels: {istio: other}}"))).toEqual([
      "IST0149 spec.http[0].match[0].headers",
    ]);
    expect(found("g, mesh", "headers", verifier())).toEqual(["IST0149 spec.http[0].match[0].headers"]);
  });

  test("the name of a claim is no header in capitals, however it is written", () => {
    const claims = '{headers: {"@request.auth.claims.Group": {exact: b}, "@request.auth.claims[a][b]": {}}}';
    expect(findings(A, rules(rule(claims))).filter((one) => one.startsWith("BOW0042"))).toEqual([]);
  });
});
