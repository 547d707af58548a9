import { describe, expect, test } from "bun:test";
import { explainText } from "../../../src/cli/explain_text.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { translateFiles } from "../../../src/pilot/translate.ts";
import { explain } from "../../../src/proxy/explain/explain.ts";
import { readExplainRequest } from "../../../src/proxy/explain/request.ts";
import { golden } from "../../golden.ts";
import { load, loadDirectory, networking, service, TRUST_DOMAIN, workloadEntry } from "../pilot/fixture.ts";
import { bowline } from "./bowline.ts";

const TUTORIAL = loadDirectory("config/tutorial/split-90-10");
const SAFARI = loadDirectory("config/tutorial/user-agent");
const DESTINATIONS = loadDirectory("config/examples/destinations");
const EGRESS = loadDirectory("config/examples/egress-gateway");

/** A gateway with a port of each kind. */
const EDGE = load(
  service("web", "shop"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}}"),
  networking(
    "Gateway",
    "main",
    "edge",
    `{selector: {istio: edge}, servers: [
      {port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test], tls: {httpsRedirect: true}},
      {port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.test],
       tls: {mode: SIMPLE, credentialName: web}}]}`,
  ),
  networking(
    "VirtualService",
    "web",
    "shop",
    `{hosts: [web.test], gateways: [edge/main], http: [
      {match: [{uri: {prefix: /api}, scheme: {exact: https}}], route: [{destination: {host: web}}]}]}`,
  ),
);

/** A DestinationRule that says much. */
const POLICIES = load(
  service("cart", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, locality: eu/one, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}}"),
  networking(
    "DestinationRule",
    "cart",
    "shop",
    `{host: cart, trafficPolicy: {
      loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s},
        localityLbSetting: {distribute: [{from: eu/*, to: {"eu/*": 80, "us/*": 20}}]}},
      connectionPool: {tcp: {maxConnections: 5}, http: {http1MaxPendingRequests: 7}},
      outlierDetection: {consecutiveGatewayErrors: 3, consecutive5xxErrors: 0, minHealthPercent: 50},
      tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /r.pem, sni: cart.test}}}`,
  ),
);

/** How an upstream outside the mesh is spoken to. */
const UPSTREAM = load(
  service("cart", "shop"),
  service("files", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}}"),
  workloadEntry("files-1", "shop", "{address: 10.0.0.3, labels: {app: files}}"),
  networking(
    "DestinationRule",
    "cart",
    "shop",
    `{host: cart, trafficPolicy: {
      connectionPool: {http: {useClientProtocol: true, http2KeepAlive: {interval: 30s}}},
      outlierDetection: {outlierDetectionHttpErrorCodes: [429, 503]},
      tunnel: {targetHost: far.test, targetPort: 443}, proxyProtocol: {version: V2},
      tls: {mode: MUTUAL, credentialName: partner}}}`,
  ),
  networking(
    "DestinationRule",
    "files",
    "shop",
    "{host: files, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /r.pem, caCrl: /l.pem}}}",
  ),
);

const security = (kind: string, name: string, namespace: string, spec: string) =>
  `{apiVersion: security.istio.io/v1, kind: ${kind}, metadata: {name: ${name}, namespace: ${namespace}}, spec: ${spec}}`;

/** Tokens are verified at the gateway and before the service. */
const TOKENS = load(
  service("web", "shop"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}, serviceAccount: edge}"),
  workloadEntry("client", "shop", "{address: 10.0.0.1, serviceAccount: client}"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.2, labels: {app: web}, serviceAccount: web}"),
  networking(
    "Gateway",
    "main",
    "edge",
    "{selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test]}]}",
  ),
  networking(
    "VirtualService",
    "web",
    "shop",
    `{hosts: [web.test], gateways: [edge/main], http: [
      {match: [{headers: {"@request.auth.claims.group": {exact: staff}}}], route: [{destination: {host: web}}]},
      {directResponse: {status: 403}}]}`,
  ),
  security(
    "RequestAuthentication",
    "edge",
    "edge",
    "{jwtRules: [{issuer: 'https://issuer.test', forwardOriginalToken: true}]}",
  ),
  security(
    "RequestAuthentication",
    "tokens",
    "shop",
    "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: 'https://issuer.test', audiences: [web]}]}",
  ),
  security(
    "AuthorizationPolicy",
    "staff",
    "shop",
    "{selector: {matchLabels: {app: web}}, rules: " +
      "[{when: [{key: 'request.auth.claims[group]', values: [staff]}]}]}",
  ),
);
const STAFF = '{"iss": "https://issuer.test", "sub": "ann", "aud": "web", "group": "staff"}';

/** A gateway that asks policies of its own, before a service that has some, too. */
const GUARDED = load(
  "{apiVersion: mesh.istio.io/v1alpha1, kind: MeshConfig, metadata: {name: mesh, namespace: istio-system}, " +
    "spec: {extensionProviders: [{name: guard, " +
    "envoyExtAuthzHttp: {service: guard.edge.svc.cluster.local, port: 8080}}]}}",
  service("web", "shop"),
  service("guard", "edge"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}, serviceAccount: edge}"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.2, labels: {app: web}, serviceAccount: web}"),
  networking(
    "Gateway",
    "main",
    "edge",
    `{selector: {istio: edge}, servers: [
      {port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test]},
      {port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.test],
       tls: {mode: SIMPLE, credentialName: web}},
      {port: {number: 90, name: tcp, protocol: TCP}, hosts: ['*']}]}`,
  ),
  networking(
    "VirtualService",
    "web",
    "shop",
    `{hosts: ['*'], gateways: [edge/main], http: [{route: [{destination: {host: web}}]}],
      tcp: [{match: [{port: 90}], route: [{destination: {host: web}}]}]}`,
  ),
  security(
    "AuthorizationPolicy",
    "ask",
    "edge",
    "{action: CUSTOM, provider: {name: guard}, rules: [{to: [{operation: {paths: [/admin*]}}]}]}",
  ),
  security(
    "AuthorizationPolicy",
    "office",
    "edge",
    `{action: DENY, rules: [
      {from: [{source: {notRemoteIpBlocks: [203.0.113.0/24]}}], to: [{operation: {paths: [/admin*]}}]},
      {when: [{key: 'request.headers[x-robot]', values: ['*']}]}]}`,
  ),
  security(
    "AuthorizationPolicy",
    "names",
    "edge",
    `{rules: [
      {to: [{operation: {methods: [POST], hosts: [web.test]}}, {operation: {ports: ['90']}}]},
      {when: [{key: connection.sni, values: [web.test]}]},
      {to: [{operation: {methods: [GET]}}]}]}`,
  ),
  "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: trial, namespace: edge, " +
    "annotations: {istio.io/dry-run: 'true'}}, spec: {action: DENY, rules: [{}]}}",
  security("AuthorizationPolicy", "nobody", "shop", "{selector: {matchLabels: {app: web}}, action: DENY}"),
  security(
    "AuthorizationPolicy",
    "edge",
    "shop",
    "{selector: {matchLabels: {app: web}}, rules: [{from: [{source: {principals: ['*/sa/other']}}]}, " +
      "{from: [{source: {principals: ['*/sa/edge']}}]}]}",
  ),
);

/** A mesh in which little is as it should be. */
const BROKEN = load(
  service("web", "shop"),
  service("reviews", "shop", "{name: http, port: 9080, targetPort: 80}"),
  service("empty", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("reviews-1", "shop", "{address: 10.0.0.2, labels: {app: reviews, version: v1}}"),
  workloadEntry("reviews-2", "shop", "{address: '2001:db8::2', labels: {app: reviews, version: v2}}"),
  networking(
    "DestinationRule",
    "reviews",
    "shop",
    "{host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v3, labels: {version: v3}}]}",
  ),
  networking(
    "VirtualService",
    "reviews",
    "shop",
    `{hosts: [reviews], http: [
      {name: api, match: [{uri: {prefix: /api}, method: {exact: POST}}, {headers: {x-debug: {exact: 'on'}}}],
       route: [{destination: {host: reviews, subset: v4}}]},
      {match: [{uri: {exact: /split}}], route: [
        {destination: {host: reviews, subset: v1}, weight: 1},
        {destination: {host: reviews, subset: v3}, weight: 1},
        {destination: {host: review}, weight: 1}]},
      {match: [{queryParams: {all: {}}}], route: [{destination: {host: reviews}}]}]}`,
  ),
);

/** Every action that a rule can have. */
const ACTIONS = load(
  service("web", "shop"),
  service("cart", "shop"),
  service("copy", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}, serviceAccount: cart}"),
  networking(
    "VirtualService",
    "cart",
    "shop",
    `{hosts: [cart], http: [
      {name: other-callers, match: [{sourceLabels: {app: batch}}, {port: 9090}], directResponse: {status: 404}},
      {match: [{uri: {prefix: /old/}}],
       redirect: {prefixRewrite: /new/, scheme: https, authority: shop.example.com}},
      {match: [{uri: {exact: /closed}}], directResponse: {status: 503, body: {string: closed today}}},
      {match: [{uri: {exact: /broken}}], fault: {abort: {percentage: {value: 100}, grpcStatus: UNAVAILABLE}},
       route: [{destination: {host: cart}}]},
      {match: [{uri: {prefix: /full}}],
       timeout: 2s, retries: {attempts: 3, retryOn: "gateway-error,429", perTryTimeout: 500ms},
       rewrite: {uri: /all, authority: cart.internal},
       fault: {delay: {percentage: {value: 12.5}, fixedDelay: 1s}, abort: {percentage: {value: 0.1}, httpStatus: 500}},
       mirrors: [{destination: {host: copy}, percentage: {value: 50}}],
       corsPolicy: {allowOrigins: [{exact: "https://shop.example.com"}]},
       headers: {request: {set: {x-a: '1'}, add: {x-b: '2'}, remove: [x-c]}},
       route: [{destination: {host: cart}}]},
      {match: [{uri: {prefix: /once}}], retries: {attempts: 0}, route: [{destination: {host: cart}}]},
      {match: [{uri: {prefix: /team}}], delegate: {name: team}}]}`,
  ),
  networking(
    "VirtualService",
    "team",
    "shop",
    "{http: [{name: rest, match: [{method: {exact: GET}}], route: [{destination: {host: cart}}]}]}",
  ),
);

/** Only one of those that name the host has a say for shop/web. */
const RIVALS = load(
  service("cart", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1}"),
  networking("Sidecar", "default", "shop", '{egress: [{hosts: ["./*", "edge/*", "team/*"]}]}'),
  ...[
    ["a-first", "shop", "cart", "http: [{match: [{uri: {exact: /one}}], directResponse: {status: 201}}]"],
    ["b-second", "shop", "cart", "http: [{directResponse: {status: 202}}, {directResponse: {status: 203}}]"],
    ["gateway", "shop", "cart", "gateways: [edge/main], http: [{directResponse: {status: 204}}]"],
    ["unseen", "other", "cart.shop.svc.cluster.local", "http: [{directResponse: {status: 205}}]"],
    [
      "private",
      "edge",
      "cart.shop.svc.cluster.local",
      'exportTo: ["."], http: [{directResponse: {status: 206}}]',
    ],
    ["wide", "team", '"*.shop.svc.cluster.local"', "http: [{directResponse: {status: 207}}]"],
    ["else", "shop", "other", "http: [{directResponse: {status: 208}}]"],
  ].map(([name, namespace, host, rules]) =>
    networking("VirtualService", name as string, namespace as string, `{hosts: [${host}], ${rules}}`)
  ),
);

const CASES: readonly [
  name: string,
  ResourceSet,
  from: string,
  method: string | null,
  url: string,
  headers: string[],
  claims?: string,
  client?: string,
][] = [
  ["weighted", TUTORIAL, "tutorial/preference", "GET", "http://recommendation:8080/", []],
  ["no_virtual_service", TUTORIAL, "tutorial/customer", "GET", "http://preference:8080/", []],
  ["portless", TUTORIAL, "tutorial/preference", "GET", "http://recommendation/", []],
  [
    "fqdn",
    TUTORIAL,
    "tutorial/preference",
    "GET",
    "recommendation.tutorial.svc.cluster.local:8080/some/path?q=1",
    [],
  ],
  ["unknown_host", TUTORIAL, "tutorial/customer", "GET", "http://example.com/", []],
  ["misspelt_host", TUTORIAL, "tutorial/customer", "GET", "http://recomendation:8080/", []],
  ["wrong_port", TUTORIAL, "tutorial/customer", "GET", "http://recommendation:9090/", []],
  ["https", TUTORIAL, "tutorial/customer", "GET", "https://preference:8080/", []],
  [
    "safari_match",
    SAFARI,
    "tutorial/preference",
    "GET",
    "http://recommendation:8080/",
    ["Baggage-User-Agent: Mozilla/5.0 (Macintosh) Safari/605.1.15"],
  ],
  [
    "safari_no_match",
    SAFARI,
    "tutorial/preference",
    "GET",
    "http://recommendation:8080/",
    ["baggage-user-agent: Firefox"],
  ],
  ["safari_no_header", SAFARI, "tutorial/preference", "GET", "http://recommendation:8080/", []],
  ["unknown_subset", BROKEN, "shop/web", "POST", "http://reviews:9080/api", []],
  ["alternative_match", BROKEN, "shop/web", "GET", "http://reviews:9080/", ["x-debug: on"]],
  ["partly_broken", BROKEN, "shop/web", "GET", "http://reviews:9080/split", []],
  ["gateway_bytes", EGRESS, "edge/egress", "GET", "https://api.partner.example:8443/", []],
  ["gateway_host", EGRESS, "edge/egress", "GET", "http://api.partner.example:8080/", []],
  ["gateway_https", EDGE, "edge/in", "GET", "https://web.test/api", []],
  ["gateway_no_host", EGRESS, "edge/egress", "GET", "http://other.example:8080/", []],
  ["gateway_no_port", EGRESS, "edge/egress", "GET", "http://api.partner.example/", []],
  ["gateway_no_rule", EDGE, "edge/in", "GET", "https://web.test/", []],
  ["gateway_no_server", EDGE, "edge/in", "GET", "https://other.test/", []],
  ["gateway_redirect", EDGE, "edge/in", "GET", "http://web.test/api", []],
  ["plain_text", BROKEN, "shop/web", "GET", "http://reviews:9080/?all", []],
  ["no_rule_matches", BROKEN, "shop/web", "GET", "http://reviews:9080/", []],
  ["rivals", RIVALS, "shop/web", "GET", "http://cart:8080/two", []],
  ["redirect", ACTIONS, "shop/web", "GET", "http://cart:8080/old/x?q=1", []],
  ["direct_response", ACTIONS, "shop/web", "GET", "http://cart:8080/closed", []],
  ["abort", ACTIONS, "shop/web", "GET", "http://cart:8080/broken", []],
  ["every_field", ACTIONS, "shop/web", "GET", "http://cart:8080/full/x?q=1", []],
  [
    "preflight",
    ACTIONS,
    "shop/web",
    "OPTIONS",
    "http://cart:8080/full",
    ["Origin: https://shop.example.com", "Access-Control-Request-Method: PUT"],
  ],
  ["no_retries", ACTIONS, "shop/web", "POST", "http://cart:8080/once", []],
  ["delegate", ACTIONS, "shop/web", "GET", "http://cart:8080/team", []],
  ["tls_origination", DESTINATIONS, "shop/web", "GET", "http://api.example.com/", []],
  ["destination_rule", DESTINATIONS, "shop/web", "GET", "http://cart/beta/x", []],
  ["registry_only", DESTINATIONS, "shop/web", "GET", "http://nobody.test/", []],
  ["every_policy", POLICIES, "shop/web", "GET", "http://cart:8080/", []],
  ["upstream_fields", UPSTREAM, "shop/web", "GET", "http://cart:8080/", []],
  ["revocation_list", UPSTREAM, "shop/web", "GET", "http://files:8080/", []],
  ["token_none", TOKENS, "shop/client", "GET", "http://web:8080/", []],
  ["token_unread", TOKENS, "shop/client", "GET", "http://web:8080/", ["Authorization: Bearer x.y.z"]],
  ["token_taken", TOKENS, "shop/client", "GET", "http://web:8080/", [], STAFF],
  ["token_refused", TOKENS, "shop/client", "GET", "http://web:8080/", [], STAFF.replace('"web"', '"app"')],
  ["token_gateway", TOKENS, "edge/in", "GET", "http://web.test/", [], STAFF],
  [
    "token_gateway_refused",
    TOKENS,
    "edge/in",
    "GET",
    "http://web.test/",
    [],
    STAFF.replace("https://issuer.test", "https://other.test"),
  ],
  ["token_gateway_none", TOKENS, "edge/in", "GET", "http://web.test/", []],
  ["guarded_asked", GUARDED, "edge/in", "GET", "http://web.test/admin", [], undefined, "203.0.113.7"],
  ["guarded_bytes", GUARDED, "edge/in", null, "tcp://web.test:90", [], undefined, "203.0.113.7"],
  ["guarded_denied", GUARDED, "edge/in", "GET", "http://web.test/admin", [], undefined, "198.51.100.7"],
  ["guarded_name", GUARDED, "edge/in", "PUT", "https://web.test/", [], undefined, "198.51.100.7"],
  ["guarded_unallowed", GUARDED, "edge/in", "PUT", "http://web.test/", [], undefined, "198.51.100.7"],
  ["guarded_unknown", GUARDED, "edge/in", "GET", "http://web.test/", ["X-Forwarded-For: 203.0.113.7"]],
  ["no_endpoints", BROKEN, "shop/web", "GET", "http://empty:8080/", []],
];

describe("the answers of explain", () => {
  for (const [name, resources, from, method, url, headers, claims, client] of CASES) {
    test(`explain() and explainText() say of ${name} what the golden files say`, () => {
      const snapshot = translateFiles(resources, from, TRUST_DOMAIN);
      if (snapshot === undefined) throw new Error(`There is no workload ${from}`);
      const receiver = (workload: string) => translateFiles(resources, workload, TRUST_DOMAIN);
      const explained = explain(
        snapshot,
        readExplainRequest(method, url, headers, { claims, client }),
        receiver,
      );
      golden(`cli/explain/${name}.json`, JSON.stringify(explained.explanation, null, 2));
      golden(`cli/explain/${name}.txt`, explainText(explained));
    });
  }
});

describe("runExplain()", () => {
  const ask = (...args: string[]) => bowline(["explain", "--config", "config/tutorial/split-90-10", ...args]);

  test("prints the JSON on standard output and notes on standard error", async () => {
    const { exitCode, stdout, stderr } = await ask(
      ...["--from", "tutorial/customer", "GET", "http://recomendation/", "-H", "a: b", "-o", "json"],
    );
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ from: "tutorial/customer", action: "passthrough" });
    expect(stderr).toBe('Note: Did you mean "recommendation"?\n');
  });

  test("gives files relative to the directory", async () => {
    const { stdout, stderr } = await ask(
      "--from",
      "tutorial/preference",
      "recommendation:8080",
      "-o",
      "json",
    );
    expect(JSON.parse(stdout).route).toMatchObject({ file: "recommendation.yaml", line: 30 });
    expect(stderr).toBe("");
  });

  test("refuses a workload that is in no file with 65, and says which was probably meant", async () => {
    expect(await ask("--from", "tutorial/custmer", "http://preference/")).toEqual({
      exitCode: 65,
      stdout: "",
      stderr:
        "Error: No WorkloadEntry in config/tutorial/split-90-10 is tutorial/custmer\n  did you mean tutorial/customer?\n",
    });
  });

  test("refuses a request that is none with 64", async () => {
    expect(await ask("--from", "tutorial/customer", "http://preference/", "-H", "x-user")).toEqual({
      exitCode: 64,
      stdout: "",
      stderr: "Error: \"x-user\" is not a header; write it 'NAME: VALUE'\n  for instance -H 'x-user: ann'\n",
    });
    expect((await ask("--from", "customer", "http://preference/")).exitCode).toBe(64);
    const client = (address: string) =>
      ask("--from", "tutorial/customer", "http://preference/", "--client", address);
    expect(await client("far")).toMatchObject({ exitCode: 64, stdout: "" });
    expect((await client("10.0.0.1")).stderr).toStartWith(
      "Error: tutorial/customer is no gateway: its own program calls, from its own address\n",
    );
  });

  test("tells of a configuration that does not load, by file and line as the user would write it", async () => {
    const args = ["--from", "tutorial/customer", "http://preference/"];
    const broken = await bowline(["explain", "--config", "tests/unit/cli/broken_config", ...args]);
    expect(broken).toEqual({
      exitCode: 65,
      stdout: "",
      stderr: "tests/unit/cli/broken_config/service.yaml:4:1: error BOW0003 Service shop/web: spce: " +
        'unknown field "spce"; did you mean "spec"?\n' +
        "Error: The configuration in tests/unit/cli/broken_config is not valid\n" +
        "  nothing can be explained until it loads as a whole\n",
    });
    const missing = await bowline(["explain", "--config", "tests/unit/cli/nowhere", ...args]);
    expect(missing.exitCode).toBe(65);
    expect(missing.stderr).toContain("there is no such file or directory");
  });
});
