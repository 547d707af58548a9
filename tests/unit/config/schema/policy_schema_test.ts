/** The traps of AuthorizationPolicy and PeerAuthentication that show in their schemas. */
import { describe, expect, test } from "bun:test";
import { document, findingsOf, specFaults } from "../config_texts.ts";

describe("AuthorizationPolicy", () => {
  const faults = (spec: string) => specFaults("AuthorizationPolicy", spec);
  const rule = (text: string) => faults(`rules: [{${text}}]`);

  test("what Istio refuses is refused", () => {
    expect(rule("from: []")).toHaveLength(1);
    expect(rule("from: [{source: {}}]")).toHaveLength(1);
    expect(rule("to: [{operation: {}}]")).toHaveLength(1);
    expect(rule("to: [{operation: {ports: ['0']}}]")).toHaveLength(1);
    expect(rule("to: [{operation: {methods: ['']}}]")).toHaveLength(1);
    expect(rule("from: [{source: {ipBlocks: [10.0.0.0/33]}}]")).toHaveLength(1);
    expect(rule("from: [{source: {serviceAccounts: ['a/*']}}]")).toHaveLength(1);
    expect(rule("from: [{source: {serviceAccounts: [a], namespaces: [b]}}]")).toHaveLength(1);
    expect(rule("when: [{key: source.ip}]")).toHaveLength(1);
    expect(rule("when: [{key: source.ip, values: [x]}]")).toHaveLength(1);
    expect(rule("when: [{key: source.port, values: [x]}]")).toHaveLength(1);
    expect(rule("when: [{key: 'request.headers[x y]', values: [x]}]")).toHaveLength(1);
  });

  test("an unknown key of a condition is told which there are", () => {
    const [fault] = rule("when: [{key: request.auth.claim, values: [x]}]");
    expect(fault).toContain("request.headers[NAME], request.auth.claims[NAME], source.ip, ");
  });

  test.each([
    ["/a/{*}", 0],
    ["/a/{**}/b", 0],
    ["/a/{*}/b/{**}", 0],
    ["/{**}/a/{*}", 1],
    ["/a/{*}.txt", 1],
    ["/*/a/{*}", 1],
    ["/a/{x}", 1],
  ])("the template %p has %d faults", (path, count) => {
    expect(rule(`to: [{operation: {paths: ['${path}']}}]`)).toHaveLength(count);
  });

  test("what would widen a policy if it were dropped is not dropped, not even with --lenient", () => {
    for (
      const spec of [
        "targetRefs: [{kind: Gateway, name: x}]",
        "rules: [{when: [{key: experimental.envoy.filters.a.b, values: [a]}]}]",
        "rules: [{when: [{key: 'request.headers[:authority]', values: [a]}]}]",
      ]
    ) {
      const text = document("AuthorizationPolicy", "a", spec, "security.istio.io/v1");
      expect(findingsOf([text], { lenient: true }).join()).toMatch(/BOW0005/);
    }
  });
});

describe("a policy that is tried out", () => {
  const faults = (said: string, action: string, rest = "rules: [{}]") =>
    findingsOf([
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n" +
      `metadata: {name: a, annotations: {istio.io/dry-run: "${said}"}}\nspec: {action: ${action}, ${rest}}\n`,
    ]).filter((one) => one.includes(" error "));

  test("says so in a word that is understood, else it would be enforced", () => {
    for (const said of ["true", "1", "F", "false"]) expect(faults(said, "DENY")).toEqual([]);
    for (const said of ["yes", "", "TrUe"]) {
      expect(faults(said, "DENY")).toEqual([
        `mesh.yaml:3:53: error IST0106 AuthorizationPolicy default/a: metadata.annotations["istio.io/dry-run"]: ` +
        `"${said}" is neither true nor false`,
      ]);
    }
  });

  test("allows or denies", () => {
    expect(faults("true", "ALLOW")).toEqual([]);
    expect(faults("true", "AUDIT")[0]).toContain("only ALLOW and DENY can be tried out, not AUDIT");
    expect(faults("true", "CUSTOM", "provider: {name: x}, rules: [{}]")).toHaveLength(1);
    expect(faults("false", "AUDIT")).toEqual([]);
  });
});

describe("a policy with the action CUSTOM", () => {
  test.each([
    ["action: CUSTOM\nprovider: {name: x}", 0],
    ["action: CUSTOM", 1],
    ["action: CUSTOM\nprovider: {name: ''}", 1],
    ["action: DENY\nprovider: {name: x}", 1],
    ["provider: {name: x}", 1],
  ])("%j has %d faults", (spec, count) => {
    expect(specFaults("AuthorizationPolicy", spec)).toHaveLength(count);
  });
});

describe("PeerAuthentication", () => {
  test("ports belong to workloads, and are numbers", () => {
    const faults = (spec: string) => specFaults("PeerAuthentication", spec);
    const selector = "selector: {matchLabels: {app: a}}";
    expect(faults("portLevelMtls: {'80': {mode: STRICT}}")).toHaveLength(1);
    expect(faults(`${selector}\nportLevelMtls: {'80': {mode: STRICT}}`)).toEqual([]);
    expect(faults(`${selector}\nportLevelMtls: {http: {mode: STRICT}}`)).toHaveLength(1);
    expect(faults("mtls: {mode: strict}")).toHaveLength(1);
  });
});
