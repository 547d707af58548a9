/** Analyzers of what routes lead to and policies speak of, each by itself, on specs of which some are not implemented yet. */
import { describe, expect, test } from "bun:test";
import type { Written } from "../config_texts.ts";
import { A, entry, findings, rule, rules } from "../found.ts";

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

  test("destinationSubset finds subsets that a rule for a narrower host hides from everybody", () => {
    const of = (host: string, name: string, more = ""): Written => [
      "DestinationRule",
      name,
      `host: "${host}"\nsubsets: [{name: ${name}, labels: {v: ${name}}}]\n${more}`,
    ];
    const to = (subset: string) => rules(`{route: [{destination: {host: a, subset: ${subset}}}]}`);
    const found = (...written: Written[]) =>
      findings(A, ...written).filter((one) => one.startsWith("IST0101"));
    const lost = ["IST0101 spec.http[0].route[0].destination.subset"];
    const wide = of("*.svc.cluster.local", "wide");
    expect(found(to("wide"), wide)).toEqual([]);
    expect(found(to("wide"), wide, of("a", "own"))).toEqual(lost);
    expect(found(to("wide"), wide, of("*.tutorial.svc.cluster.local", "own"))).toEqual(lost);
    expect(found(to("wide"), of("*", "all"), wide, of("*.other.svc.cluster.local", "own"))).toEqual([]);
    // Some callers do not see the narrower one.
    expect(found(to("wide"), wide, of("a", "own", "exportTo: [other]"))).toEqual([]);
    expect(found(to("wide"), wide, of("a", "own", "workloadSelector: {matchLabels: {app: b}}"))).toEqual([]);
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
    // What one operation asks for goes for the whole rule.
    const mixed = "to: [{operation: {paths: [/a], ports: ['80']}}, {operation: {ports: ['90']}}]";
    expect(found(`rules: [{${mixed}}]`)).toEqual(["BOW0031 spec.rules[0]"]);
    expect(found("rules: [{to: [{operation: {ports: ['90']}}]}]")).toEqual([]);
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
