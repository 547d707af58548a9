import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatFinding } from "../../src/config/format_finding.ts";
import { loadConfig } from "../../src/config/loader.ts";

const SEED = 20_181_115;
const RUNS = 400;

const VALID = `apiVersion: v1
kind: Service
metadata: {name: recommendation, namespace: tutorial, labels: &labels {app: recommendation}}
spec:
  selector: *labels
  ports: [{name: http, port: 8080, targetPort: web}]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: recommendation
  namespace: tutorial
spec:
  hosts:
  - recommendation
  http:
  - match:
    - headers:
        baggage-user-agent: {regex: .*Safari.*}
      uri: {prefix: /}
    route:
    - destination: {host: recommendation, subset: version-v1, port: {number: 8080}}
      weight: 90
    - destination: {host: recommendation, subset: version-v2}
      weight: 10
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: recommendation, namespace: tutorial}
spec:
  host: recommendation
  subsets: [{name: version-v1, labels: {version: v1}}, {name: version-v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: external}
spec:
  hosts: [api.example.com]
  ports: [{number: 443, name: https, protocol: HTTPS}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: v1
kind: List
items:
- apiVersion: networking.istio.io/v1
  kind: WorkloadEntry
  metadata: {name: recommendation-v1}
  spec: {address: 127.0.0.1, weight: 2}
`;

/** Pieces that mean something to YAML, to JavaScript or to the schemas. */
const PIECES = [
  "",
  " ",
  "\n",
  "\t",
  ":",
  "- ",
  "? ",
  "[",
  "]",
  "{",
  "}",
  "&labels ",
  "*labels",
  "!!binary ",
  "!x ",
  "<<: *labels",
  "|",
  ">",
  "'",
  '"',
  "#",
  "---",
  "...",
  "%YAML 1.1",
  "null",
  "~",
  "true",
  "1e999",
  ".nan",
  "-0",
  "0x10",
  "2024-01-01",
  "__proto__",
  "toString",
  "hasOwnProperty",
  "\u0000",
  "\ud800",
  "\ufeff",
  "timeout",
  "kind",
  "*",
];

/** The valid text with some spans replaced by pieces. */
const mutated = fc.array(
  fc.tuple(fc.nat(VALID.length), fc.nat(12), fc.constantFrom(...PIECES)),
  { minLength: 1, maxLength: 6 },
).map((edits) =>
  edits.reduce((text, [at, length, piece]) => text.slice(0, at) + piece + text.slice(at + length), VALID)
);

/** Two lines of it exchanged, left out or repeated: YAML that is mostly well formed and mostly wrong. */
const shuffled = fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { minLength: 1, maxLength: 4 }).map((moves) => {
  const lines = VALID.split("\n");
  for (const [from, to] of moves) lines.splice(to % lines.length, from % 2, lines[from % lines.length] ?? "");
  return lines.join("\n");
});

const text = fc.oneof(mutated, shuffled, fc.string({ unit: "binary", maxLength: 300 }));

describe("loadConfig()", () => {
  test("loadConfig() loads the text that the others are made from", () => {
    expect(loadConfig([{ file: "a.yaml", text: VALID }]).findings.map(formatFinding)).toEqual([]);
  });

  test("loadConfig() never throws, and every finding has its place in the text", () => {
    fc.assert(
      fc.property(text, fc.boolean(), (text, lenient) => {
        const lines = text.split("\n");
        const { resources, findings } = loadConfig([{ file: "a.yaml", text }], { lenient });
        expect(resources === null).toBe(findings.some(({ severity }) => severity === "error"));
        for (const { file, line, column, message } of findings) {
          expect(file).toBe("a.yaml");
          expect(message).not.toBe("");
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines.length);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
        }
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });

  test("loadConfig() gives the same for the same text", () => {
    fc.assert(
      fc.property(mutated, (text) => {
        const say = () => loadConfig([{ file: "a.yaml", text }]).findings.map(formatFinding);
        expect(say()).toEqual(say());
      }),
      { seed: SEED, numRuns: 50 },
    );
  });
});
