import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadConfig } from "../../../src/config/loader.ts";
import { PolicySimulation } from "../../../src/control/policy_simulation.ts";
import { suggestPolicies } from "../../../src/control/suggested_policies.ts";
import type { SeenCalls } from "../../../src/mixer/call_store.ts";
import type { SuggestedPolicy } from "../../../src/model/admin.ts";
import type { RecordedCall } from "../../../src/model/recorded_call.ts";
import { recordedCall } from "../telemetry/recorded_call.ts";
import { PolicyCatalogue } from "../../../src/pilot/policies.ts";

const WEB = "spiffe://cluster.local/ns/shop/sa/web";

const PORTS_OF_BYTES: readonly number[] = [9, 90];

function seen(calls: readonly RecordedCall[], overrides: Partial<SeenCalls> = {}): SeenCalls {
  return { workload: "shop/web-1", principal: WEB, calls, omitted: 0, ...overrides };
}

function suggest(all: readonly SeenCalls[], labels: Record<string, string> = { app: "web", version: "v1" }) {
  return suggestPolicies(all, () => labels).policies;
}

function only(policies: readonly SuggestedPolicy[]): SuggestedPolicy {
  expect(policies).toHaveLength(1);
  return policies[0] as SuggestedPolicy;
}

/** The policies as a workload would get them that was given the file. */
function policiesOf(policies: readonly SuggestedPolicy[], labels: Record<string, string>) {
  const text = policies.map(({ resource }) => stringify(resource)).join("---\n");
  const { resources, findings } = loadConfig([{ file: "suggested.yaml", text }]);
  if (resources === null) throw new Error(JSON.stringify(findings));
  return new PolicyCatalogue(resources, "istio-system").policiesFor(
    { namespace: "shop", labels },
    ["cluster.local"],
  );
}

describe("suggestPolicies()", () => {
  test("writes one policy for all workloads of a name, and one rule for callers who do the same", () => {
    const cart = { principal: "cluster.local/ns/shop/sa/cart", caller: "shop/cart" };
    const policy = only(suggest([
      seen([
        recordedCall(),
        recordedCall({ path: "/b" }),
        recordedCall({ method: "HEAD" }),
        recordedCall({ method: "HEAD", path: "/b" }),
      ]),
      seen(
        [
          recordedCall({ ...cart, allowed: 4 }),
          recordedCall({ ...cart, path: "/b" }),
          recordedCall({ ...cart, method: "HEAD" }),
        ],
        {
          workload: "shop/web-2",
        },
      ),
      seen([
        recordedCall({ ...cart, method: "HEAD", path: "/b" }),
        recordedCall({ ...cart, port: 9, protocol: "tcp" }),
      ], {
        workload: "shop/web-3",
      }),
    ]));
    const operation = { ports: ["8080"], methods: ["GET", "HEAD"], paths: ["/a", "/b"] };
    expect(policy).toEqual({
      workloads: ["shop/web-1", "shop/web-2", "shop/web-3"],
      kinds: 9,
      calls: 12,
      leftOut: 0,
      resource: {
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name: "web-callers", namespace: "shop" },
        spec: {
          selector: { matchLabels: { app: "web" } },
          action: "ALLOW",
          rules: [
            {
              from: [
                {
                  source: { principals: ["cluster.local/ns/shop/sa/cart", "cluster.local/ns/shop/sa/front"] },
                },
              ],
              to: [{ operation }],
            },
            {
              from: [{ source: { principals: ["cluster.local/ns/shop/sa/cart"] } }],
              to: [{ operation: { ports: ["9"] } }],
            },
          ],
        },
      },
    });
  });

  test("knows callers who proved nothing by their addresses", () => {
    const plain = { principal: "", caller: "unknown" };
    const { resource } = only(
      suggest([seen([recordedCall(plain), recordedCall({ ...plain, address: "10.0.0.2", path: "/b" })])]),
    );
    expect(resource.spec.rules[0]?.from).toEqual([
      { source: { notPrincipals: ["*"], ipBlocks: ["10.0.0.2", "10.0.0.3"] } },
    ]);
  });

  test("leaves out what was refused, and counts what no pattern can name", () => {
    const paths = ["/a*", "*", "/{*}/x", "/{**}", "/a;x=1", "/a%3Bx"];
    const policy = only(suggest([
      seen([
        ...paths.map((path) => recordedCall({ path })),
        recordedCall(),
        recordedCall({ path: "/no", allowed: 0, refused: 9 }),
      ], {
        omitted: 2,
      }),
    ]));
    expect([policy.kinds, policy.leftOut]).toEqual([1, 8]);
    expect(JSON.stringify(policy.resource)).not.toContain("/no");
  });

  test("writes nothing for a workload whose calls were all refused, or which is not who it was said to be", () => {
    expect(suggest([seen([recordedCall({ allowed: 0, refused: 1 })])])).toEqual([]);
    expect(suggestPolicies([seen([recordedCall()])], () => undefined).policies).toEqual([]);
  });

  test("makes a name of any label", () => {
    const all: Record<string, string>[] = [{ "app.kubernetes.io/name": "My_App.v2" }, { tier: "x" }, {}];
    const names = all.map((labels) => only(suggest([seen([recordedCall()])], labels)).resource.metadata.name);
    expect(names).toEqual(["my-app-v2-callers", "x-callers", "workloads-callers"]);
  });

  test("allows the calls that were seen, and refuses any that differs in one thing", () => {
    const text = fc.constantFrom("/a", "/b", "/a/b", "/%2A");
    const calls = fc.array(
      fc.record({
        principal: fc.constantFrom("cluster.local/ns/shop/sa/front", "cluster.local/ns/shop/sa/cart", ""),
        port: fc.constantFrom(80, 8080, ...PORTS_OF_BYTES),
        method: fc.constantFrom("GET", "POST"),
        path: text,
        address: fc.constantFrom("10.0.0.3", "10.0.0.4"),
      }).map((one): Partial<RecordedCall> =>
        PORTS_OF_BYTES.includes(one.port)
          ? { ...one, protocol: "tcp", method: "", authority: "", path: "" }
          : one
      ),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(fc.property(calls, calls, (some, others) => {
      const labels = { app: "web" };
      const allowed = some.map((one) => recordedCall(one));
      const policies = policiesOf(suggest([seen(allowed)], labels), labels);
      const simulation = new PolicySimulation("shop/web-1", "10.0.0.1", policies, null);
      const outcome = (one: RecordedCall) => simulation.try(one).outcome;
      expect(allowed.map(outcome)).toEqual(allowed.map(() => "allow"));
      // Of those who proved nothing the addresses are one list.
      const keyOf = ({ principal, port, method, path }: RecordedCall) =>
        [principal, port, method, path].join();
      const known = new Set(allowed.map(keyOf));
      const unknown = others.map((one) => recordedCall(one)).filter((one) => !known.has(keyOf(one)));
      expect(unknown.map(outcome)).toEqual(unknown.map(() => "deny"));
    }));
  });
});
