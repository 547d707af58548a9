/** What changes of a workload's own settings, in words. */
import { describe, expect, test } from "bun:test";
import { diffText } from "../../../../src/cli/diff/diff_text.ts";
import { meshDiff } from "../../../../src/cli/diff/mesh_diff.ts";
import { load, resource, service, TRUST_DOMAIN, workloadEntry } from "../../pilot/fixture.ts";

const WEB = workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}");

/** The lines about shop/web after its name. */
function told(before: readonly string[], after: readonly string[]): string[] {
  const mesh = (texts: readonly string[]) => load(service("web", "shop"), WEB, ...texts);
  const lines = diffText(meshDiff(mesh(before), mesh(after), TRUST_DOMAIN)).split("\n");
  expect(lines[0]).toBe("shop/web:");
  return lines.slice(1, lines.indexOf(""));
}

describe("diffText() of own settings", () => {
  test("a policy is told rule by rule", () => {
    const policy = (spec: string, metadata = "") =>
      resource("AuthorizationPolicy shop/p", `{${spec}}`, metadata);
    const rules = "rules: [{}, {from: [{source: {principals: ['*/sa/a'], notNamespaces: [b]}}, " +
      "{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {methods: [GET, HEAD], paths: [/a*]}}], " +
      "when: [{key: 'request.headers[x-a]', notValues: [b]}]}]";
    const lines = told(
      [policy("action: DENY")],
      [policy(rules, "annotations: {istio.io/dry-run: 'true'}")],
    );
    expect(lines).toEqual([
      "  ~ policies",
      "      - DENY of AuthorizationPolicy shop/p (test.yaml:5)",
      "      + ALLOW of AuthorizationPolicy shop/p (test.yaml:5), as a dry run",
      "            rule 0: every call",
      '            rule 1: where source.principal is "*/sa/a" and source.namespace is not "b", or source.ip is ' +
      '"10.0.0.0/8", and the method is "GET" or "HEAD" and the path is "/a*", and request.headers[x-a] is not "b"',
    ]);
  });

  test("of a port that stays, what is otherwise", () => {
    const rule = resource(
      "DestinationRule shop/web",
      "{host: web, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 3}}}}",
    );
    expect(told([], [rule]).slice(-3)).toEqual([
      "  ~ the workload's own ports",
      "      ~ port 8080 for web.shop.svc.cluster.local",
      '          limits: null -> {"maxRequests":3}',
    ]);
  });

  test("a rule of tokens has its issuer", () => {
    const tokens = (audiences: string) =>
      resource("RequestAuthentication shop/r", `{jwtRules: [{issuer: "https://i.test"${audiences}}]}`);
    expect(told([], [tokens(", audiences: [a, b]")])).toEqual([
      "  ~ rules of tokens",
      "      + of https://i.test by RequestAuthentication shop/r, for a or b",
    ]);
    expect(told([tokens("")], [tokens(", audiences: [a]")])).toEqual([
      "  ~ rules of tokens",
      "      ~ of https://i.test by RequestAuthentication shop/r",
      '          audiences: [] -> ["a"]',
    ]);
  });
});
