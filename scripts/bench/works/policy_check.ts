/**
 * What 100 policies of 10 rules add to a request at the receiving sidecar, by what tells the rules apart: all of the
 * check, in this process, in CPU time. Nothing matches, or nothing but the last rule does.
 */
import type { Policy, PolicyRule, PolicyTest } from "../../../src/model/policy.ts";
import type { RequestHead } from "../../../src/proxy/exchange.ts";
import { PolicyCall, policyPeer } from "../../../src/proxy/policy/policy_call.ts";
import { type BoundPolicies, PolicyTable } from "../../../src/proxy/policy/policy_table.ts";
import { PolicyCounts } from "../../../src/telemetry/policy_counts.ts";
import { type Row, spread } from "../row.ts";
import type { Work } from "../work.ts";

const POLICIES = 100;
const RULES = 10;
const LAST = POLICIES * RULES - 1;

const PEER = policyPeer(`spiffe://cluster.local/ns/shop/sa/caller-${LAST}`, "127.0.0.1");
const HERE = { address: "127.0.0.1", port: 8080 };

/** What rule `n` asks for; a request has what the last one asks for. */
const SHAPES: Readonly<Record<string, (n: number) => PolicyTest>> = {
  principals: (n) => ({
    attribute: "source.principal",
    values: [`cluster.local/ns/shop/sa/caller-${n}`],
  }),
  paths: (n) => ({ attribute: "path", values: [`/api/v1/items/${padded(n)}*`] }),
  "ends of paths": (n) => ({ attribute: "path", values: [`*/${padded(n)}.json`] }),
  templates: (n) => ({ attribute: "path", values: [`/api/{*}/items/${padded(n)}.json`] }),
  methods: (n) => ({ attribute: "method", values: [`METHOD-${n}`] }),
  hosts: (n) => ({ attribute: "host", values: [`*.host-${n}.test`] }),
  headers: (n) => ({ attribute: "header", header: "x-role", values: [`role-${n}`] }),
  "names of headers": (n) => ({ attribute: "header", header: `x-role-${n}`, values: ["*"] }),
  "addresses of clients": (n) => ({ attribute: "remote.ip", values: [`10.${n >> 8}.${n & 255}.0/24`] }),
};

/** None is the beginning of another. */
function padded(n: number): string {
  return String(n).padStart(4, "0");
}

function head(last: number): RequestHead {
  const headers = [
    "user-agent",
    "wrk/4.1",
    "accept",
    "*/*",
    "x-request-id",
    "0123",
    "traceparent",
    "00-0-0-01",
  ];
  headers.push("x-forwarded-for", `10.${last >> 8}.${last & 255}.7`, "x-role", `role-${last}`);
  headers.push(`x-role-${last}`, "1");
  const [method, authority] = [`METHOD-${last}`, `www.host-${last}.test:8080`];
  return {
    method,
    authority,
    path: `/api/v1/items/${padded(last)}.json`,
    scheme: "http",
    headers,
    bodyLength: 0,
  };
}

function policies(action: Policy["action"], test: (n: number) => PolicyTest): Policy[] {
  const rule = (n: number): PolicyRule => ({ line: 1, sources: [], operations: [], conditions: [test(n)] });
  return Array.from({ length: POLICIES }, (_, policy) => ({
    ...{ name: `shop/policy-${policy}`, action, file: "policies.yaml", line: 1 },
    rules: Array.from({ length: RULES }, (_, index) => rule(policy * RULES + index)),
  }));
}

function bound(all: readonly Policy[]): BoundPolicies {
  return new PolicyTable(all, new PolicyCounts()).bind(PEER, HERE, "http");
}

/** Microseconds of CPU of one check, in `ms` of checks. */
function cost(table: BoundPolicies, request: RequestHead, refused: boolean, ms: number): number {
  let checks = 0;
  const before = process.cpuUsage();
  const until = performance.now() + ms;
  while (performance.now() < until) {
    for (let i = 0; i < 1_000; i++) {
      if (table.decide(new PolicyCall(PEER, HERE, request)).allowed === refused) {
        throw new Error("A policy does not decide as it should");
      }
    }
    checks += 1_000;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / checks;
}

const WARM_UP_MS = 200;

export const policyCheck: Work = {
  name: "policies",
  run({ rounds, seconds }) {
    const rows = Object.entries(SHAPES).map(([shape, test]): Row => {
      // One table that allows by its last rule alone, one that refuses nothing.
      const [allowing, denying] = [bound(policies("ALLOW", test)), bound(policies("DENY", test))];
      const measure = (ms: number) =>
        Math.max(
          cost(allowing, head(LAST), false, ms / 2),
          // Principals are of the connection: there the last rule refuses.
          cost(denying, head(LAST + 1), shape === "principals", ms / 2),
        );
      measure(WARM_UP_MS);
      const samples = Array.from({ length: rounds }, () => measure(seconds * 100));
      return {
        work: `policy check, 1,000 rules that differ in ${shape}`,
        unit: "µs of CPU",
        digits: 2,
        better: null,
        goal: "≤ 5",
        results: { bowline: spread(samples) },
      };
    });
    return Promise.resolve(rows);
  },
};
