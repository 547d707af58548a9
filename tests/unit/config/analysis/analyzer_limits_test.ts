/** Where the analyzers say nothing: beside each finding of the golden files, what is like it and all right. */
import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";

/** The codes of what is found. */
function codes(...written: Written[]): string[] {
  return analyze(resourcesOf(written)).map(({ code }) => code).sort();
}

const service = (ports: string, name = "a"): Written => [
  "Service",
  name,
  `selector: {app: ${name}}\nports: [${ports}]`,
];
const HTTP = service("{name: http, port: 80}");
const TCP = service("{name: tcp, port: 80}");
const TLS = service("{name: tls, port: 80}");
const entry = (more: string): Written => ["WorkloadEntry", "w", `address: 10.0.0.1\n${more}`];
const policy = (text: string, host = "a"): Written => [
  "DestinationRule",
  "d",
  `host: "${host}"\ntrafficPolicy: ${text}`,
];
const external = (more: string, host = "x.com"): Written => [
  "ServiceEntry",
  "e",
  `hosts: ["${host}"]\n${more}`,
];
const rules = (text: string, host = "a"): Written => ["VirtualService", "v", `hosts: [${host}]\n${text}`];
const ROUTE = "route: [{destination: {host: a}}]";
const matching = (match: string) => rules(`http: [{match: [${match}], ${ROUTE}}]`);

describe("settings and sidecars", () => {
  const TUNNEL = "tunnel: {targetHost: x.com, targetPort: 1}";

  test.each([
    ["labels: {app: a}", `{${TUNNEL}}`, []],
    ["labels: {app: a}\nserviceAccount: a", `{${TUNNEL}}`, ["BOW0051"]],
    ["labels: {app: a}\nserviceAccount: a", "{proxyProtocol: {}}", ["BOW0051"]],
    ["labels: {app: a, security.istio.io/tlsMode: disabled}\nserviceAccount: a", `{${TUNNEL}}`, []],
    ["labels: {app: a}\nserviceAccount: a", `{${TUNNEL}, tls: {mode: DISABLE}}`, ["BOW0052"]],
    ["labels: {app: a}", "{tls: {mode: DISABLE}}", []],
    ["labels: {app: a}", "{tls: {mode: ISTIO_MUTUAL}}", []],
  ])("%s with %s", (workload, text, expected) => {
    expect(codes(TCP, entry(workload), policy(text))).toEqual(expected);
  });

  test("whoever joins as a group has a sidecar", () => {
    const group: Written = ["WorkloadGroup", "g", "metadata: {labels: {app: a}}\ntemplate: {}"];
    expect(codes(TCP, group, policy(`{${TUNNEL}}`))).toEqual(["BOW0051"]);
  });

  test("calls without mutual TLS are refused where it is asked for", () => {
    const plain = (...peers: Written[]) =>
      codes(TCP, entry("labels: {app: a}\nserviceAccount: a"), policy("{tls: {mode: DISABLE}}"), ...peers);
    const peers = (name: string, text: string, namespace = "tutorial"): Written => [
      "PeerAuthentication",
      name,
      text,
      namespace,
    ];
    const app = "selector: {matchLabels: {app: a}}";
    expect(plain(peers("all", "mtls: {mode: STRICT}"))).toEqual(["BOW0073"]);
    expect(plain(peers("all", "mtls: {mode: STRICT}", "istio-system"))).toEqual(["BOW0073"]);
    expect(plain(peers("all", "mtls: {mode: STRICT}", "other"))).toEqual(["BOW0052"]);
    expect(plain(peers("own", `${app}\nmtls: {mode: STRICT}`))).toEqual(["BOW0073"]);
    // Whoever speaks for less speaks first, unless it says nothing.
    const mesh = peers("mesh", "mtls: {mode: STRICT}", "istio-system");
    expect(plain(mesh, peers("all", "mtls: {mode: PERMISSIVE}"))).toEqual(["BOW0052"]);
    expect(plain(mesh, peers("own", `${app}\nmtls: {mode: PERMISSIVE}`))).toEqual(["BOW0052"]);
    expect(plain(mesh, peers("all", "mtls: {mode: UNSET}"))).toEqual(["BOW0073"]);
    expect(plain(mesh, peers("own", `${app}\nportLevelMtls: {80: {mode: DISABLE}}`))).toEqual(["BOW0052"]);
  });

  test("an endpoint with an account has a sidecar, and mutual TLS with it", () => {
    const of = (account: string) =>
      external(
        `ports: [{number: 80, name: http, protocol: HTTP}]\nresolution: STATIC\nendpoints: [{address: 10.0.0.1${account}}]`,
      );
    const mutual = policy("{tls: {mode: ISTIO_MUTUAL}}", "x.com");
    expect(codes(of(""), mutual)).toEqual(["BOW0053"]);
    expect(codes(of(", serviceAccount: x"), mutual)).toEqual([]);
  });
});

describe("policies and ports", () => {
  test.each([
    [HTTP, "{loadBalancer: {consistentHash: {httpHeaderName: x}}}", []],
    [TCP, "{loadBalancer: {consistentHash: {httpHeaderName: x}}}", ["BOW0054"]],
    [TCP, "{loadBalancer: {consistentHash: {useSourceIp: true}}}", []],
    [TCP, "{connectionPool: {tcp: {maxConnections: 1}}}", []],
    [TLS, "{connectionPool: {http: {maxRetries: 1}}}", ["BOW0054"]],
    [service("{name: web, port: 80, appProtocol: x}"), "{connectionPool: {http: {maxRetries: 1}}}", []],
    [TLS, "{tunnel: {targetHost: x.com, targetPort: 1}}", []],
    [HTTP, "{tunnel: {targetHost: x.com, targetPort: 1}}", ["BOW0054"]],
    [
      service("{name: http, port: 80}, {name: tcp, port: 81}"),
      "{tunnel: {targetHost: x.com, targetPort: 1}}",
      [],
    ],
    [HTTP, "{portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}", []],
    [HTTP, "{portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]}", ["BOW0055"]],
  ] as [Written, string, string[]][])("%j with %s", (host, text, expected) => {
    expect(codes(host, policy(text))).toEqual(expected);
  });

  test("a wildcard stands for hosts of many ports", () => {
    const text = "{portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]}";
    expect(codes(HTTP, policy(text, "*.svc.cluster.local"))).toEqual([]);
  });

  test.each([
    ["{}", []],
    ["{consecutive5xxErrors: 0}", ["BOW0056"]],
    ["{consecutive5xxErrors: 0, consecutiveGatewayErrors: 9}", []],
    ["{consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true}", []],
    ["{consecutiveGatewayErrors: 4}", []],
    ["{consecutiveGatewayErrors: 5}", ["BOW0056"]],
  ])("outlierDetection %s", (text, expected) => {
    expect(codes(HTTP, policy(`{outlierDetection: ${text}}`))).toEqual(expected);
  });

  test("outlierDetection of a wildcard without endpoints of its own", () => {
    const open = (resolution: string): Written => [
      "ServiceEntry",
      "open",
      `hosts: ["*.example.com"]\nports: [{number: 80, name: http, protocol: HTTP}]\n${resolution}`,
    ];
    const detects = policy("{outlierDetection: {}}", "*.example.com");
    expect(codes(open("resolution: DYNAMIC_DNS"), detects)).toEqual(["BOW0056"]);
    expect(codes(open("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]"), detects)).toEqual([]);
  });

  test.each([
    ["{retryBudget: {}, connectionPool: {http: {http2MaxRequests: 1}}}", []],
    ["{retryBudget: {}, connectionPool: {http: {maxRetries: 1}}}", ["BOW0057"]],
    ["{outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}}", []],
    ["{loadBalancer: {localityLbSetting: {enabled: false, failover: [{from: a, to: b}]}}}", ["BOW0057"]],
  ])("%s", (text, expected) => {
    expect(codes(HTTP, policy(text))).toEqual(expected);
  });
});

describe("rules", () => {
  test.each([
    ["5xx,503", []],
    ["retriable-status-codes,503", []],
    ["retriable-status-codes", ["BOW0058"]],
    ["http3-post-connect-failure", ["BOW0058"]],
  ])("retries after %s", (retryOn, expected) => {
    expect(codes(HTTP, rules(`http: [{${ROUTE}, retries: {attempts: 1, retryOn: "${retryOn}"}}]`))).toEqual(
      expected,
    );
  });

  test.each([
    ["{sourceLabels: {app: x}}", []],
    ["{sourceLabels: {app: x, tier: y}}", ["BOW0060"]],
    ["{sourceLabels: {tier: y}, sourceNamespace: tutorial}", ["BOW0060"]],
    ["{sourceLabels: {tier: z}}", []],
    ["{sourceLabels: {tier: z}, sourceNamespace: tutorial}", []],
    ["{sourceLabels: {tier: z}, sourceNamespace: other}", ["BOW0060"]],
    ["{sourceNamespace: other}", []],
    ["{gateways: [mesh]}", []],
  ])("a match of %s", (match, expected) => {
    expect(codes(HTTP, entry("labels: {tier: z}"), matching(match))).toEqual(expected);
  });

  test("a delegate has the gateways of who delegates", () => {
    const child: Written = ["VirtualService", "c", `http: [{match: [{sourceLabels: {app: x}}], ${ROUTE}}]`];
    expect(codes(HTTP, rules("http: [{delegate: {name: c}}]"), child)).toEqual([]);
  });

  test.each([
    [HTTP, `tcp: [{${ROUTE}}]`, ["BOW0061"]],
    [TCP, `tcp: [{${ROUTE}}]`, []],
    [TCP, `tls: [{match: [{sniHosts: [a]}], ${ROUTE}}]`, ["BOW0061"]],
    [TLS, `tls: [{match: [{sniHosts: [a]}], ${ROUTE}}]`, []],
    [TLS, `tcp: [{${ROUTE}}]`, []],
    [service("{name: http, port: 80, appProtocol: x}"), `tcp: [{${ROUTE}}]`, []],
  ] as [Written, string, string[]][])("%j with %s", (host, text, expected) => {
    expect(codes(host, rules(text))).toEqual(expected);
  });

  test("a host has something behind it, or stands beside one that has, or is for gateways", () => {
    const to = (host: string, more = "") => rules(`${more}\nhttp: [{${ROUTE}}]`, host);
    expect(codes(HTTP, to("b"))).toEqual(["BOW0063"]);
    expect(codes(HTTP, to("a, b"))).toEqual([]);
    expect(codes(HTTP, to("'*.svc.cluster.local'"))).toEqual([]);
    expect(codes(HTTP, to("'*.com'"))).toEqual(["BOW0063"]);
    const gateway: Written = [
      "Gateway",
      "g",
      "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]",
    ];
    expect(codes(HTTP, gateway, to("b.com", "gateways: [g]"))).toEqual([]);
    expect(codes(HTTP, gateway, to("b.com", "gateways: [g, mesh]"))).toEqual([]);
  });

  test.each([
    ["Safari", ["BOW0064"]],
    [".*Safari.*", []],
    ["a|b", []],
    ["a\\\\.b", []],
    ["(?i)a", []],
  ])("the regex %s", (regex, expected) => {
    expect(codes(HTTP, matching(`{headers: {x: {regex: "${regex}"}}}`))).toEqual(expected);
  });
});

describe("gateways", () => {
  const server = (port: string, hosts = "'*'", tls = "") =>
    `{port: {number: 80, name: p, protocol: ${port}}, hosts: [${hosts}]${tls}}`;
  const gateway = (name: string, text: string, selector = "{app: edge}"): Written => [
    "Gateway",
    name,
    `selector: ${selector}\nservers: [${text}]`,
  ];
  const SIMPLE = ", tls: {mode: SIMPLE, credentialName: c}";

  test.each([
    [server("HTTP"), server("HTTP2"), []],
    [server("HTTP"), server("TCP"), ["IST0145"]],
    [server("HTTP"), server("HTTPS", "'*'", SIMPLE), ["IST0145"]],
    [server("HTTPS", "a.com", SIMPLE), server("HTTPS", "a.com", SIMPLE), ["IST0145"]],
    [server("HTTPS", "a.com", SIMPLE), server("HTTPS", "b.com", SIMPLE), []],
    [server("HTTPS", "a.com", SIMPLE), server("HTTPS", "'*.com'", SIMPLE), []],
  ])("%s beside %s", (first, second, expected) => {
    const conflicts = (...gateways: Written[]) =>
      codes(...gateways).filter((code): boolean => code === "IST0145");
    expect(conflicts(gateway("g", first), gateway("h", second))).toEqual(expected);
    expect(conflicts(gateway("g", first), gateway("h", second, "{app: other}"))).toEqual([]);
  });

  const bound = (text: string): Written => ["VirtualService", "v", `hosts: [a.com]\ngateways: [g]\n${text}`];
  const TLS_RULES = `tls: [{match: [{sniHosts: [a.com]}], ${ROUTE}}]`;

  test.each([
    [server("HTTP"), `http: [{${ROUTE}}]`, []],
    [server("HTTPS", "'*'", SIMPLE), `http: [{${ROUTE}}]`, []],
    [server("TLS", "'*'", ", tls: {mode: PASSTHROUGH}"), `http: [{${ROUTE}}]`, ["BOW0065"]],
    [server("TLS", "'*'", ", tls: {mode: PASSTHROUGH}"), TLS_RULES, []],
    [server("TLS", "'*'", SIMPLE), TLS_RULES, ["BOW0065"]],
    [server("TLS", "'*'", SIMPLE), `tcp: [{${ROUTE}}]`, []],
    [server("TCP"), `tcp: [{${ROUTE}}]`, []],
    [server("HTTP"), `tcp: [{${ROUTE}}]`, ["BOW0065"]],
  ])("%s with %s", (one, text, expected) => {
    expect(codes(HTTP, gateway("g", one), bound(text))).toEqual(expected);
  });
});

describe("who serves gateways, and whom", () => {
  const gateway = (selector: string, hosts = "a.com", tls = ""): Written => [
    "Gateway",
    "g",
    `selector: ${selector}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: [${hosts}]${tls}}]`,
  ];
  const bound = (host: string): Written => [
    "VirtualService",
    "v",
    `hosts: [${host}]\ngateways: [g]\nhttp: [{${ROUTE}}]`,
  ];

  test.each([
    ["{app: in}", []],
    ["{}", []],
    ["{istio: edge}", ["IST0101"]],
    ["{tier: z}", []],
  ])("the selector %s", (selector, expected) => {
    const elsewhere: Written = ["WorkloadEntry", "w", "address: 10.0.0.1\nlabels: {tier: z}", "edge"];
    expect(codes(HTTP, elsewhere, gateway(selector), bound("a.com"))).toEqual(expected);
  });

  test("a server has hosts of some VirtualService, or redirects", () => {
    const of = (hosts: string, tls = "") => codes(HTTP, gateway("{app: in}", hosts, tls), bound("a.com"));
    expect(of("a.com")).toEqual([]);
    expect(of("'*.com'")).toEqual([]);
    expect(of("b.com")).toEqual(["BOW0072", "IST0132"]);
    expect(of("b.com", ", tls: {httpsRedirect: true}")).toEqual(["IST0132"]);
    expect(of("other/a.com")).toEqual(["BOW0072", "IST0132"]);
  });
});

describe("outlier detection and regions", () => {
  const placed = (name: string, locality: string): Written => [
    "WorkloadEntry",
    name,
    `address: 10.0.0.1\nlabels: {app: a}\nlocality: ${locality}`,
  ];
  const apart = [placed("x", "eu/1"), placed("y", "us/1")];
  const DETECTS = "outlierDetection: {maxEjectionPercent: 100}";

  test.each([
    [`{${DETECTS}}`, ["BOW0071"]],
    [`{${DETECTS}, loadBalancer: {simple: RANDOM}}`, ["BOW0071"]],
    [`{${DETECTS}, loadBalancer: {localityLbSetting: {enabled: false}}}`, []],
    ["{loadBalancer: {simple: RANDOM}}", []],
  ])("%s", (text, expected) => {
    expect(codes(HTTP, ...apart, policy(text))).toEqual(expected);
    expect(codes(HTTP, placed("x", "eu/1"), placed("y", "eu/2"), policy(text))).toEqual([]);
    const mesh: Written = ["MeshConfig", "m", "localityLbSetting: {enabled: false}"];
    expect(codes(HTTP, ...apart, mesh, policy(text))).toEqual([]);
  });
});

describe("entries, workloads and Sidecars", () => {
  test.each([
    ["protocol: TCP}]\nresolution: DNS", ["IST0134"]],
    ["protocol: TCP}]\nresolution: DNS\naddresses: [10.0.0.1]", []],
    ["protocol: TCP}]\nresolution: STATIC\nendpoints: [{address: 10.0.0.1}]", []],
    ["protocol: TCP}]\nresolution: DNS\nendpoints: [{address: y.com}]", ["IST0134"]],
    ["protocol: TCP}]", []],
    ["protocol: TLS}]\nresolution: DNS", []],
    ["protocol: HTTP}]\nresolution: DNS", []],
  ])("ports: [{number: 90, name: p, %s", (text, expected) => {
    expect(codes(external(`ports: [{number: 90, name: p, ${text}`))).toEqual(expected);
  });

  test("a workload has ports by the names of services, and of their target ports", () => {
    const named = service("{name: http, port: 80, targetPort: web}");
    const with_ = (ports: string) => codes(named, entry(`labels: {app: a}\nports: {${ports}}`));
    expect(with_("http: 1, web: 2")).toEqual([]);
    expect(with_("other: 1")).toEqual(["BOW0066"]);
    const selecting = external(
      "ports: [{number: 80, name: other, protocol: HTTP}]\nresolution: STATIC\nworkloadSelector: {labels: {app: a}}",
    );
    expect(codes(named, selecting, entry("labels: {app: a}\nports: {other: 1}"))).toEqual([]);
  });

  const sidecar = (text: string): Written => ["Sidecar", "s", text];

  test.each([
    ["hosts: ['./*', 'other/*']", []],
    ["hosts: ['./a.tutorial.svc.cluster.local']", []],
    ["hosts: ['*/*.tutorial.svc.cluster.local']", []],
    ["hosts: ['other/a.tutorial.svc.cluster.local']", ["IST0101"]],
    ["hosts: ['./*', '~./b.com']", []],
    ["hosts: ['./*'], port: {number: 80}", []],
    ["hosts: ['./*'], port: {number: 81}", ["BOW0067"]],
    ["hosts: ['other/*'], port: {number: 81}", []],
  ])("egress: [{%s}]", (text, expected) => {
    expect(codes(HTTP, sidecar(`egress: [{${text}}]`))).toEqual(expected);
  });

  test("ingress has all ports to which services lead", () => {
    const ingress = (port: number, selector = "{app: a}") =>
      sidecar(`workloadSelector: {labels: ${selector}}\ningress: [{port: {number: ${port}}}]`);
    const workload = entry("labels: {app: a}");
    expect(codes(HTTP, workload, ingress(80))).toEqual([]);
    expect(codes(HTTP, workload, ingress(81))).toEqual(["BOW0068"]);
    expect(codes(HTTP, entry("labels: {app: a}\nports: {http: 81}"), ingress(81))).toEqual([]);
    expect(codes(HTTP, workload, ingress(81, "{app: other}"))).toEqual([]);
  });

  test("TLS of ingress counts where some PeerAuthentication has the port's mutual TLS off", () => {
    const TLS = "tls: {mode: SIMPLE, credentialName: c}";
    const ingress = sidecar(
      `workloadSelector: {labels: {app: a}}\ningress: [{port: {number: 443, protocol: HTTPS, name: h}, ${TLS}}]`,
    );
    const with_ = (text: string, namespace = "tutorial", ...more: Written[]) =>
      codes(ingress, ["PeerAuthentication", "p", text, namespace], ...more);
    const app = "selector: {matchLabels: {app: a}}";
    expect(codes(ingress)).toEqual(["BOW0069"]);
    expect(with_("mtls: {mode: DISABLE}")).toEqual([]);
    expect(with_("mtls: {mode: DISABLE}", "istio-system")).toEqual([]);
    expect(with_("mtls: {mode: DISABLE}", "other")).toEqual(["BOW0069"]);
    expect(with_(`${app}\nportLevelMtls: {443: {mode: DISABLE}}`)).toEqual([]);
    expect(with_(`${app}\nportLevelMtls: {444: {mode: DISABLE}}`)).toEqual(["BOW0069"]);
    expect(with_(`${app}\nmtls: {mode: DISABLE}\nportLevelMtls: {443: {mode: STRICT}}`)).toEqual(["BOW0069"]);
    const tier = "selector: {matchLabels: {tier: x}}\nmtls: {mode: DISABLE}";
    expect(with_(tier, "tutorial", entry("labels: {app: b, tier: x}"))).toEqual(["BOW0069"]);
    expect(with_(tier, "tutorial", entry("labels: {app: a, tier: x}"))).toEqual([]);
  });

  test("a port for bytes has one service that has it", () => {
    const egress = (hosts: string, protocol = "TCP") =>
      sidecar(
        `egress: [{port: {number: 80, protocol: ${protocol}, name: p}, captureMode: NONE, hosts: [${hosts}]}]`,
      );
    const other = service("{name: tcp, port: 80}", "b");
    expect(codes(TCP, other, egress("'./*'"))).toEqual(["BOW0070"]);
    expect(codes(TCP, other, egress("'./*'", "TLS"))).toEqual([]);
    expect(codes(TCP, other, egress("'./a.tutorial.svc.cluster.local'"))).toEqual([]);
    expect(codes(TCP, other, egress("'./*', '~./b.tutorial.svc.cluster.local'"))).toEqual([]);
    expect(codes(TCP, service("{name: tcp, port: 81}", "b"), egress("'./*'"))).toEqual([]);
  });
});
