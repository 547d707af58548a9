/** AuthorizationPolicies and calls by chance, made of the same words, so that each verdict is frequent. */
import { Prng } from "../../src/lib/prng.ts";
import {
  type AuthorizationPolicy,
  type Call,
  type Condition,
  type Operation,
  type Request,
  ROOT_NAMESPACE,
  type Rule,
  type Source,
} from "./istio_policy.ts";

export const TRUST_DOMAIN = "mesh.test";

const POOL = {
  principals: [
    "mesh.test/ns/shop/sa/ann",
    "mesh.test/ns/shop/*",
    "*/sa/bob",
    "*",
    "mesh.test/ns/a.b/sa/ann",
    "*/ns/shop/*",
  ],
  namespaces: ["shop", "sh*", "*.b", "*", "a.b", "axb"],
  serviceAccounts: ["ann", "shop/ann", "a.b/ann", "bob"],
  requestPrincipals: ["iss/sub", "iss/*", "*/sub", "*", "other/sub"],
  blocks: [
    "10.0.0.9",
    "10.0.0.0/24",
    "10.0.0.0/29",
    "0.0.0.0/0",
    "2001:db8::/32",
    "203.0.113.0/25",
    "2001:db8:0:1::/64",
  ],
  hosts: ["web", "web.shop", "*.shop", "WEB.*", "web:8080", "web:*", "*", "*:8080", "w*"],
  ports: ["8080", "9090", "80"],
  methods: ["GET", "PUT", "P*", "*T", "*", "DELETE"],
  paths: [
    "/",
    "/a",
    "/a/*",
    "*/b",
    "*",
    "/a/{*}",
    "/a/{*}/b",
    "/a/{**}",
    "/{**}/b",
    "/{*}/b/{**}",
    "/a.b",
    "/a*b",
    "/A",
  ],
  header: ["user", "admin", "*min", "us*", "*", "a.b"],
  claim: ["x", "y", "x*", "*y", "*", "3", "true"],
  trustDomain: ["mesh.test", "*", "mesh*", "other.test", "meshxtest"],
} as const;

const ADDRESSES = [
  "10.0.0.9",
  "10.0.0.4",
  "10.0.1.9",
  "2001:db8:0:1:0:0:0:1",
  "2001:db9:0:0:0:0:0:1",
  "203.0.113.5",
];
const PATHS = [
  "/",
  "/a",
  "/a/b",
  "/a/x/b",
  "/a/b/c",
  "/b",
  "/x/b/c",
  "/a.b",
  "/axb",
  "/a*b",
  "/a/*/b",
  "/A",
  "/a/",
  "/a?b=/x",
];
/** Servers read them in more than one way. */
const ODD_PATHS = ["/a;x=y", "/a/b;c", "/a;/b", "/a%3Bx/b", "/x;a/b/c", "/a/;b"];

const WHEN: Readonly<Record<string, keyof typeof POOL>> = {
  "source.ip": "blocks",
  "remote.ip": "blocks",
  "destination.ip": "blocks",
  "source.namespace": "namespaces",
  "source.principal": "principals",
  "source.trustDomain": "trustDomain",
  "destination.port": "ports",
  "request.headers[x-role]": "header",
  "request.headers[X-Other]": "header",
  "request.auth.principal": "requestPrincipals",
  "request.auth.audiences": "claim",
  "request.auth.presenter": "claim",
  "request.auth.claims[group]": "claim",
  "request.auth.claims[scope]": "claim",
  "request.auth.claims[realm][roles]": "claim",
};

export class PolicyMaker {
  readonly #random: Prng;

  constructor(seed: number) {
    this.#random = new Prng(seed);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.#random.below(items.length)] as Item;
  }

  /** One in so many times. */
  seldom(times: number): boolean {
    return this.#random.below(times) === 0;
  }

  some<Item>(least: number, most: number, make: () => Item): Item[] {
    return Array.from({ length: least + this.#random.below(most - least + 1) }, make);
  }

  /** A field of `pool`, its negation, or both, among those that a rule may have. */
  #lists(name: string, pool: readonly string[]): Record<string, string[]> {
    const list = () => [...new Set(this.some(1, 2, () => this.pick(pool)))];
    const not = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
    if (this.seldom(4)) return { [not]: list() };
    return { [name]: list(), ...(this.seldom(5) ? { [not]: list() } : {}) };
  }

  source(): Source {
    const fields = {
      requestPrincipals: POOL.requestPrincipals,
      ipBlocks: POOL.blocks,
      remoteIpBlocks: POOL.blocks,
    };
    const who: Readonly<Record<string, readonly string[]>> = this.seldom(5)
      ? { serviceAccounts: POOL.serviceAccounts }
      : { principals: POOL.principals, namespaces: POOL.namespaces };
    return this.#fields({ ...fields, ...who });
  }

  operation(): Operation {
    const { hosts, ports, methods, paths } = POOL;
    return this.#fields({ hosts, ports, methods, paths });
  }

  #fields(pools: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
    const names = Object.keys(pools);
    const chosen = new Set(this.some(1, 2, () => this.pick(names)));
    return Object.assign(
      {},
      ...[...chosen].map((name) => this.#lists(name, pools[name] as readonly string[])),
    );
  }

  condition(): Condition {
    const key = this.pick(Object.keys(WHEN));
    return { key, ...this.#lists("values", POOL[WHEN[key] as keyof typeof POOL]) };
  }

  rule(): Rule {
    return {
      ...(this.seldom(2) ? { from: this.some(1, 2, () => ({ source: this.source() })) } : {}),
      ...(this.seldom(2) ? { to: this.some(1, 2, () => ({ operation: this.operation() })) } : {}),
      ...(this.seldom(3) ? { when: this.some(1, 2, () => this.condition()) } : {}),
    };
  }

  policy(): AuthorizationPolicy {
    // With many rules they are looked up in an index.
    const rules = this.seldom(4) ? this.some(8, 14, () => this.rule()) : this.some(0, 3, () => this.rule());
    const action = this.pick<AuthorizationPolicy["action"]>(["ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"]);
    return {
      namespace: this.pick(["shop", "shop", "shop", ROOT_NAMESPACE, "other"]),
      // AUDIT denies nothing that could be tried out.
      dryRun: action !== "AUDIT" && this.seldom(8),
      selector: this.pick<Record<string, string>>([{}, { app: "web" }, { app: "web", version: "v1" }, {
        app: "api",
      }, {
        app: "web",
        version: "v2",
      }]),
      action,
      rules,
    };
  }

  /** About nothing but what can be read in several ways. */
  narrowPolicy(): AuthorizationPolicy {
    const { paths, header } = POOL;
    const key = () => this.pick(["request.headers[x-role]", "request.headers[x-other]"]);
    const rule = (): Rule =>
      this.seldom(2)
        ? { to: this.some(1, 2, () => ({ operation: this.#fields({ paths }) })) }
        : { when: this.some(1, 2, () => ({ key: key(), ...this.#lists("values", header) })) };
    const action = this.pick(["ALLOW", "DENY"] as const);
    return { namespace: "shop", dryRun: false, selector: {}, action, rules: this.some(1, 2, rule) };
  }

  call(odd: boolean): Call {
    return {
      peer: this.pick([
        ...[{ namespace: "shop", serviceAccount: "ann" }, { namespace: "shop", serviceAccount: "bob" }],
        ...[{ namespace: "a.b", serviceAccount: "ann" }, null],
      ]),
      trustDomain: TRUST_DOMAIN,
      sourceIp: this.pick(ADDRESSES),
      destinationIp: "10.0.0.1",
      port: this.pick([8080, 9090]),
      http: !odd && this.seldom(6) ? null : this.#request(odd),
    };
  }

  #request(odd: boolean): Request {
    const role = (name: string): [string, string][] =>
      this.some(
        0,
        odd ? 3 : 1,
        () => [name, this.pick(odd ? [...ROLES, ...ODD_ROLES] : ROLES)] as [string, string],
      );
    return {
      method: this.pick(["GET", "PUT", "POST", "DELETE"]),
      path: this.pick(odd ? [...PATHS, ...ODD_PATHS] : PATHS),
      authority: this.pick(["web", "web.shop", "web:8080", "web.shop:9090", "WEB", "other"]),
      headers: [
        ...role("x-role"),
        ...role("x-other"),
        ...this.some(
          0,
          1,
          () => ["x-forwarded-for", `192.0.2.1, ${this.pick(ADDRESSES)}`] as [string, string],
        ),
      ],
      token: this.pick([null, ...TOKENS]),
    };
  }
}

const ROLES = ["user", "admin", "a.b", "axb", "useradmin"];
const ODD_ROLES = ["user,admin", "admin, user", "x,a.b"];

export const TOKENS = [
  {
    iss: "iss",
    sub: "sub",
    aud: ["x", "z"],
    azp: "x",
    group: ["y", "z"],
    scope: "x y",
    realm: { roles: ["x", "y"] },
  },
  { iss: "other", sub: "sub", aud: "y", group: "xy", scope: "xy", realm: { roles: "y" } },
  { sub: "sub", group: 3, realm: "x", azp: "zy" },
  { iss: "iss", group: true, scope: "z" },
];

/** As a document of YAML. */
export function documentOf(
  { namespace, dryRun, selector, action, rules }: AuthorizationPolicy,
  index: number,
): string {
  return JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: {
      name: `p${index}`,
      namespace,
      ...(dryRun ? { annotations: { "istio.io/dry-run": "true" } } : {}),
    },
    spec: {
      action,
      rules,
      ...(Object.keys(selector).length === 0 ? {} : { selector: { matchLabels: selector } }),
    },
  });
}
