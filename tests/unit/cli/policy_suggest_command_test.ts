import { expect, test } from "bun:test";
import { parse } from "yaml";
import { policyDocument } from "../../../src/cli/policy_suggest_command.ts";

test("policyDocument() has a line for each comment, whatever the workloads are called", () => {
  const resource = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "web-callers", namespace: "shop" },
    spec: { selector: { matchLabels: { app: "web" } }, action: "ALLOW", rules: [] },
  };
  const text = policyDocument({
    workloads: ["shop/web", "shop/\nkind: Secret"],
    kinds: 1,
    calls: 4,
    leftOut: 1,
    resource,
  });
  expect(text.split("\n").slice(0, 3)).toEqual([
    "# For shop/web, shop/\ufffdkind: Secret: 1 kind of 4 calls.",
    "# Left out: 1 call of which nothing but the number is known, or that no pattern can name.",
    "apiVersion: security.istio.io/v1",
  ]);
  expect(parse(text)).toEqual(resource);
});
