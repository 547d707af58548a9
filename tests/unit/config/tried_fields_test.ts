/**
 * Every field of Istio's traffic resources is sent through the executable by some integration test, or stands in the
 * table below with the reason why not, and with the unit test that holds it. A new field cannot be added without either.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KINDS } from "../../../src/config/schema/kinds.ts";

const ROOT = join(import.meta.dirname, "../../..");

const TRAFFIC_KINDS = [
  "VirtualService",
  "DestinationRule",
  "ServiceEntry",
  "WorkloadEntry",
  "WorkloadGroup",
  "Gateway",
  "Sidecar",
] as const;

interface Reason {
  readonly why: string;
  /** Below `tests/`. */
  readonly test: string;
}

const BY_KERNEL = "what a socket was told is the kernel's to know";
const OLDER_FORM = "an older form of a field that is tried, and the same once it is read";

const REASONS: Readonly<Record<string, Reason>> = {
  allowOrigin: { why: OLDER_FORM, test: "unit/config/schema/virtual_service_schema_test.ts" },
  annotations: { why: "without effect", test: "unit/config/schema/workload_schema_test.ts" },
  attributes: { why: "a part of a cookie that is tried", test: "unit/proxy/cluster/hash_policy_test.ts" },
  backoff: { why: "chance decides how long it is", test: "unit/pilot/route_actions_test.ts" },
  consecutiveErrors: { why: "refused", test: "unit/config/schema/destination_rule_schema_test.ts" },
  mirrorPercent: { why: OLDER_FORM, test: "unit/config/schema/virtual_service_schema_test.ts" },
  probes: { why: BY_KERNEL, test: "unit/runtime/tcp_keepalive_test.ts" },
  tcpKeepalive: { why: BY_KERNEL, test: "unit/proxy/connection_terms_test.ts" },
  time: { why: BY_KERNEL, test: "unit/pilot/cluster_settings_test.ts" },
  warmupDurationSecs: { why: OLDER_FORM, test: "unit/config/schema/destination_rule_schema_test.ts" },
};

/** The folders whose resources go through the executable. */
const THROUGH_EXECUTABLE = ["tests/integration", "config/tutorial", "config/examples"];

describe("fields of", () => {
  const texts = THROUGH_EXECUTABLE.flatMap((folder) => filesBelow(join(ROOT, folder)))
    .map((file) => readFileSync(file, "utf8")).join("\n");
  const tried = (field: string) => new RegExp(`\\b${field}['"]?:\\s`).test(texts);

  for (const kind of TRAFFIC_KINDS) {
    test(`${kind} are tried through the executable, or have a reason why not`, () => {
      const names = [...fieldsOf(KINDS.get(kind)?.schema)];
      expect(names.length).toBeGreaterThan(5);
      expect(names.filter((name) => !tried(name) && !Object.hasOwn(REASONS, name))).toEqual([]);
    });
  }

  test("the table has fields that there are, and tests that have them", () => {
    const known = new Set(TRAFFIC_KINDS.flatMap((kind) => [...fieldsOf(KINDS.get(kind)?.schema)]));
    for (const [field, { test }] of Object.entries(REASONS)) {
      expect([field, known.has(field)]).toEqual([field, true]);
      expect([field, readFileSync(join(ROOT, "tests", test), "utf8").includes(field)]).toEqual([field, true]);
    }
  });
});

/** As valibot's schemas are made; only what leads to fields. */
interface SchemaNode {
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  readonly pipe?: readonly SchemaNode[];
  readonly item?: SchemaNode;
  readonly wrapped?: SchemaNode;
  readonly value?: unknown;
  readonly options?: readonly unknown[];
}

/** The names of all fields below `spec`. */
function fieldsOf(schema: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (node: unknown, inSpec: boolean) => {
    if (typeof node !== "object" || node === null) return;
    const { entries, pipe, item, wrapped, value, options } = node as SchemaNode;
    for (const [name, own] of Object.entries(entries ?? {})) {
      if (inSpec) names.add(name);
      if (inSpec || name === "spec") visit(own, true);
    }
    for (const next of [...pipe ?? [], item, wrapped, value, ...options ?? []]) {
      if (next !== node) visit(next, inSpec);
    }
  };
  visit(schema, false);
  return names;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|yaml)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
