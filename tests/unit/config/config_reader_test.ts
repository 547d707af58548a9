/** A reader that follows edits reads what a new one does, and keeps what they do not touch. */
import { describe, expect, test } from "bun:test";
import { ConfigReader, type LoadResult } from "../../../src/config/loader.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { YAML_VALUES_MAX } from "../../../src/config/yaml_node.ts";
import { document, service } from "./config_texts.ts";

const SEEDS = 10;
const STEPS = 40;

const rule = (name: string, comment = "") =>
  document("VirtualService", name, `hosts: [${name}]\nhttp:\n- route:\n  - destination: {host: a}${comment}`);
const PIECES = [
  service("a"),
  service("b", [80, 81]),
  rule("c"),
  rule("d", "  # a comment"),
  "# nothing\n",
  "",
  "--- {apiVersion: v1, kind: Service, metadata: {name: e}, spec: {ports: [{port: 80}]}}\n",
  "kind: [\n",
  "a: |\n  text\n  --- not a marker\n",
  "%YAML 1.2\n",
  "...\n",
  service("f").replace("selector", "selektor"),
];

/** Everything that a load says, with where each resource and each of its rules stands. */
function said({ resources, findings, resourceCount }: LoadResult): unknown {
  const all = Object.values(resources ?? {}).flat();
  return {
    resourceCount,
    findings,
    resources: all.map((
      one,
    ) => [one.kind, one.name, one.spec, one.position, one.positionOf(["spec", "http", 0])]),
  };
}

function simulate(seed: number): void {
  const random = new Prng(seed);
  const reader = new ConfigReader();
  const pieces = PIECES.slice(0, 4);
  for (let step = 0; step < STEPS; step++) {
    const at = random.below(pieces.length + 1);
    const piece = PIECES[random.below(random.below(3) === 0 ? PIECES.length : 7)] as string;
    pieces.splice(at, random.below(3), ...(random.below(2) === 0 ? [piece] : []));
    const files = [{ file: "a.yaml", text: pieces.join("---\n") }];
    expect(said(reader.read(files))).toEqual(said(new ConfigReader().read(files)));
  }
}

describe("ConfigReader", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`ConfigReader that follows edits reads what a new one does, seed ${seed}`, () => simulate(seed));
  }

  test("ConfigReader keeps the resources of documents that stand where they stood", () => {
    const reader = new ConfigReader();
    const read = (...documents: string[]) =>
      reader.read([{ file: "a.yaml", text: documents.join("---\n") }]).resources?.virtualServices;
    const before = read(rule("a"), rule("b"), rule("c"));
    const after = read(rule("a"), rule("b").replace("host: a", "host: b"), rule("c"));
    expect(after?.[0]).toBe(before?.[0] as never);
    expect(after?.[1]).not.toBe(before?.[1] as never);
    expect(after?.[2]).toBe(before?.[2] as never);
    // One that stands elsewhere says so.
    const moved = read("# a line more\n" + rule("a"), rule("b"), rule("c"));
    expect(moved?.[2]?.position.line).toBe((before?.[2]?.position.line ?? 0) + 1);
  });

  test("ConfigReader keeps the list of a kind of which all is as it was, and what is there twice stays wrong", () => {
    const reader = new ConfigReader();
    const document = (kind: string, name: string, spec: string) =>
      `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
    const host = (name: string) => document("WorkloadEntry", name, "{address: 10.0.0.1}");
    const rule = (name: string) => document("DestinationRule", name, "{host: a}");
    const read = (...texts: string[]) =>
      reader.read(texts.map((text, index) => ({ file: `${index}.yaml`, text })));
    const first = read(host("a"), rule("a")).resources;
    const second = read(host("a"), rule("b")).resources;
    expect(second?.workloadEntries).toBe(first?.workloadEntries as never);
    expect(second?.destinationRules.map(({ name }) => name)).toEqual(["b"]);
    const twice = [host("a"), host("a")];
    for (const other of ["c", "d"]) {
      const { resources, findings, resourceCount } = read(...twice, rule(other));
      expect([resources, findings.length, resourceCount]).toEqual([null, 1, 2]);
    }
  });

  test("ConfigReader holds all documents of a file together to its limit", () => {
    const half = `kind: x\na: [${"1,".repeat(YAML_VALUES_MAX / 2)}]\n`;
    const messages = (text: string) =>
      new ConfigReader().read([{ file: "a.yaml", text }]).findings.map(({ message }) => message);
    expect(messages(`${half}---\n${half}`)).toContain(`the file holds more than ${YAML_VALUES_MAX} values`);
  });
});
