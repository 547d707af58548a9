/** The meshes of which explain is asked. */
import { load, loadDirectory, meshConfig, resource, service, workloadEntry } from "../pilot/fixture.ts";

export const TUTORIAL = loadDirectory("config/tutorial/split-90-10");

export const SAFARI = loadDirectory("config/tutorial/user-agent");

export const DESTINATIONS = loadDirectory("config/examples/destinations");

export const EGRESS = loadDirectory("config/examples/egress-gateway");

/** A gateway with a port of each kind. */
export const EDGE = load(
  service("web", "shop"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}}"),
  resource(
    "Gateway edge/main",
    `{selector: {istio: edge}, servers: [
      {port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test], tls: {httpsRedirect: true}},
      {port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.test],
       tls: {mode: SIMPLE, credentialName: web}}]}`,
  ),
  resource(
    "VirtualService shop/web",
    `{hosts: [web.test], gateways: [edge/main], http: [
      {match: [{uri: {prefix: /api}, scheme: {exact: https}}], route: [{destination: {host: web}}]}]}`,
  ),
);

/** What the rules before and after this one leave out. */
export const TUNED = load(
  service("cart", "shop"),
  service("files", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}}"),
  workloadEntry("files-1", "shop", "{address: 10.0.0.3, labels: {app: files}}"),
  resource(
    "DestinationRule shop/cart",
    `{host: cart, trafficPolicy: {
      loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 20, aggression: 1.5}},
      connectionPool: {tcp: {connectTimeout: 2s}, http: {h2UpgradePolicy: UPGRADE}},
      retryBudget: {percent: 30, minRetryConcurrency: 5},
      outlierDetection: {interval: 5s, consecutive5xxErrors: 3}}}`,
  ),
  resource(
    "DestinationRule shop/files",
    `{host: files, trafficPolicy: {loadBalancer: {consistentHash: {
      httpCookie: {name: user, path: /files, ttl: 1h, attributes: [{name: SameSite, value: Strict}, {name: Secure}]},
      ringHash: {minimumRingSize: 4096}}}}}`,
  ),
);

/** A DestinationRule that says much. */
export const POLICIES = load(
  service("cart", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, locality: eu/one, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}}"),
  resource(
    "DestinationRule shop/cart",
    `{host: cart, trafficPolicy: {
      loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s},
        localityLbSetting: {distribute: [{from: eu/*, to: {"eu/*": 80, "us/*": 20}}]}},
      connectionPool: {tcp: {maxConnections: 5}, http: {http1MaxPendingRequests: 7}},
      outlierDetection: {consecutiveGatewayErrors: 3, consecutive5xxErrors: 0, minHealthPercent: 50},
      tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /r.pem, sni: cart.test}}}`,
  ),
);

/** How an upstream outside the mesh is spoken to. */
export const UPSTREAM = load(
  service("cart", "shop"),
  service("files", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}}"),
  workloadEntry("files-1", "shop", "{address: 10.0.0.3, labels: {app: files}}"),
  resource(
    "DestinationRule shop/cart",
    `{host: cart, trafficPolicy: {
      connectionPool: {http: {useClientProtocol: true, http2KeepAlive: {interval: 30s}}},
      outlierDetection: {outlierDetectionHttpErrorCodes: [429, 503]},
      tunnel: {targetHost: far.test, targetPort: 443}, proxyProtocol: {version: V2},
      tls: {mode: MUTUAL, credentialName: partner}}}`,
  ),
  resource(
    "DestinationRule shop/files",
    "{host: files, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /r.pem, caCrl: /l.pem}}}",
  ),
);

/** A port of gRPC that a policy keeps shut, and whose routes answer themselves. */
export const CALLS = load(
  service("ledger", "shop", "{name: grpc, port: 9000}"),
  workloadEntry("client", "shop", "{address: 10.0.0.1, serviceAccount: client}"),
  workloadEntry("ledger-1", "shop", "{address: 10.0.0.2, labels: {app: ledger}, serviceAccount: ledger}"),
  resource(
    "VirtualService shop/ledger",
    `{hosts: [ledger], http: [
      {match: [{uri: {prefix: /ledger.Admin/}}], directResponse: {status: 404}},
      {match: [{uri: {prefix: /ledger.Busy/}}], route: [{destination: {host: ledger}}],
       fault: {abort: {percentage: {value: 100}, grpcStatus: UNAVAILABLE}}},
      {route: [{destination: {host: ledger}}]}]}`,
  ),
  resource("AuthorizationPolicy shop/shut", "{selector: {matchLabels: {app: ledger}}}"),
);

/** Tokens are verified at the gateway and before the service. */
export const TOKENS = load(
  service("web", "shop"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}, serviceAccount: edge}"),
  workloadEntry("client", "shop", "{address: 10.0.0.1, serviceAccount: client}"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.2, labels: {app: web}, serviceAccount: web}"),
  resource(
    "Gateway edge/main",
    "{selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test]}]}",
  ),
  resource(
    "VirtualService shop/web",
    `{hosts: [web.test], gateways: [edge/main], http: [
      {match: [{headers: {"@request.auth.claims.group": {exact: staff}}}], route: [{destination: {host: web}}]},
      {directResponse: {status: 403}}]}`,
  ),
  resource(
    "RequestAuthentication edge/edge",
    "{jwtRules: [{issuer: 'https://issuer.test', forwardOriginalToken: true}]}",
  ),
  resource(
    "RequestAuthentication shop/tokens",
    "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: 'https://issuer.test', audiences: [web]}]}",
  ),
  resource(
    "AuthorizationPolicy shop/staff",
    "{selector: {matchLabels: {app: web}}, rules: " +
      "[{when: [{key: 'request.auth.claims[group]', values: [staff]}]}]}",
  ),
);

export const STAFF = '{"iss": "https://issuer.test", "sub": "ann", "aud": "web", "group": "staff"}';

/** A gateway that asks policies of its own, before a service that has some, too. */
export const GUARDED = load(
  meshConfig(
    "{extensionProviders: [{name: guard, " +
      "envoyExtAuthzHttp: {service: guard.edge.svc.cluster.local, port: 8080}}]}",
  ),
  service("web", "shop"),
  service("guard", "edge"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}, serviceAccount: edge}"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.2, labels: {app: web}, serviceAccount: web}"),
  resource(
    "Gateway edge/main",
    `{selector: {istio: edge}, servers: [
      {port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test]},
      {port: {number: 443, name: https, protocol: HTTPS}, hosts: [web.test],
       tls: {mode: SIMPLE, credentialName: web}},
      {port: {number: 90, name: tcp, protocol: TCP}, hosts: ['*']}]}`,
  ),
  resource(
    "VirtualService shop/web",
    `{hosts: ['*'], gateways: [edge/main], http: [{route: [{destination: {host: web}}]}],
      tcp: [{match: [{port: 90}], route: [{destination: {host: web}}]}]}`,
  ),
  resource(
    "AuthorizationPolicy edge/ask",
    "{action: CUSTOM, provider: {name: guard}, rules: [{to: [{operation: {paths: [/admin*]}}]}]}",
  ),
  resource(
    "AuthorizationPolicy edge/office",
    `{action: DENY, rules: [
      {from: [{source: {notRemoteIpBlocks: [203.0.113.0/24]}}], to: [{operation: {paths: [/admin*]}}]},
      {when: [{key: 'request.headers[x-robot]', values: ['*']}]}]}`,
  ),
  resource(
    "AuthorizationPolicy edge/names",
    `{rules: [
      {to: [{operation: {methods: [POST], hosts: [web.test]}}, {operation: {ports: ['90']}}]},
      {when: [{key: connection.sni, values: [web.test]}]},
      {to: [{operation: {methods: [GET]}}]}]}`,
  ),
  resource(
    "AuthorizationPolicy edge/trial",
    "{action: DENY, rules: [{}]}",
    "annotations: {istio.io/dry-run: 'true'}",
  ),
  resource("AuthorizationPolicy shop/nobody", "{selector: {matchLabels: {app: web}}, action: DENY}"),
  resource(
    "AuthorizationPolicy shop/edge",
    "{selector: {matchLabels: {app: web}}, rules: [{from: [{source: {principals: ['*/sa/other']}}]}, " +
      "{from: [{source: {principals: ['*/sa/edge']}}]}]}",
  ),
);

/** A mesh in which little is as it should be. */
export const BROKEN = load(
  service("web", "shop"),
  service("reviews", "shop", "{name: http, port: 9080, targetPort: 80}"),
  service("empty", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("reviews-1", "shop", "{address: 10.0.0.2, labels: {app: reviews, version: v1}}"),
  workloadEntry("reviews-2", "shop", "{address: '2001:db8::2', labels: {app: reviews, version: v2}}"),
  resource(
    "DestinationRule shop/reviews",
    "{host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v3, labels: {version: v3}}]}",
  ),
  resource(
    "VirtualService shop/reviews",
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
export const ACTIONS = load(
  service("web", "shop"),
  service("cart", "shop"),
  service("copy", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("cart-1", "shop", "{address: 10.0.0.2, labels: {app: cart}, serviceAccount: cart}"),
  resource(
    "VirtualService shop/cart",
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
  resource(
    "VirtualService shop/team",
    "{http: [{name: rest, match: [{method: {exact: GET}}], route: [{destination: {host: cart}}]}]}",
  ),
);

/** Only one of those that name the host has a say for shop/web. */
export const RIVALS = load(
  service("cart", "shop"),
  workloadEntry("web", "shop", "{address: 10.0.0.1}"),
  resource("Sidecar shop/default", '{egress: [{hosts: ["./*", "edge/*", "team/*"]}]}'),
  ...[
    ["shop/a-first", "cart", "http: [{match: [{uri: {exact: /one}}], directResponse: {status: 201}}]"],
    ["shop/b-second", "cart", "http: [{directResponse: {status: 202}}, {directResponse: {status: 203}}]"],
    ["shop/gateway", "cart", "gateways: [edge/main], http: [{directResponse: {status: 204}}]"],
    ["other/unseen", "cart.shop.svc.cluster.local", "http: [{directResponse: {status: 205}}]"],
    [
      "edge/private",
      "cart.shop.svc.cluster.local",
      'exportTo: ["."], http: [{directResponse: {status: 206}}]',
    ],
    ["team/wide", '"*.shop.svc.cluster.local"', "http: [{directResponse: {status: 207}}]"],
    ["shop/else", "other", "http: [{directResponse: {status: 208}}]"],
  ].map(([name, host, rules]) => resource(`VirtualService ${name}`, `{hosts: [${host}], ${rules}}`)),
);

/** A caller who sees one service of three. */
export const SCOPED = load(
  service("front", "shop"),
  service("cart", "shop"),
  resource(
    "Service pay/ledger",
    "{selector: {app: ledger}, ports: [{name: http, port: 8080}]}",
    "annotations: {networking.istio.io/exportTo: .}",
  ),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}}"),
  resource(
    "Sidecar shop/web",
    "{workloadSelector: {labels: {app: web}}, egress: [{hosts: [./front.shop.svc.cluster.local, pay/*]}]}",
  ),
  resource(
    "VirtualService shop/front",
    "{hosts: [front], http: [{route: [{destination: {host: ledger.pay.svc.cluster.local}}]}]}",
  ),
);

/** A gateway, and VirtualServices that it does not heed. */
export const UNBOUND = load(
  service("web", "shop"),
  workloadEntry("in", "edge", "{address: 10.0.0.9, labels: {istio: edge}}"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.2, labels: {app: web}, serviceAccount: web}"),
  resource(
    "Gateway edge/main",
    `{selector: {istio: edge}, servers: [
      {port: {number: 80, name: http, protocol: HTTP}, hosts: [other/web.test, "shop/*.web.test"]}]}`,
  ),
  ...[
    ["shop/by-host", "[web.test]", "edge/main", ""],
    ["shop/by-mesh", "[web.test]", "mesh", ""],
    ["shop/by-export", '["*.web.test"]', "edge/main", "exportTo: [.], "],
    ["shop/routes", "[a.web.test]", "edge/main", ""],
  ].map(([name, hosts, gateways, more]) =>
    resource(
      `VirtualService ${name}`,
      `{hosts: ${hosts}, gateways: [${gateways}], ${more}http: [{route: [{destination: {host: web}}]}]}`,
    )
  ),
);
