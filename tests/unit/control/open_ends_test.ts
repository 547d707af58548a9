import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/loader.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { type ConfigState, openEnds, QUIET_MS, WRITER_WAIT_MS } from "../../../src/control/open_ends.ts";
import { resource, service } from "../pilot/fixture.ts";

const WEB = service("web", "shop");
const to = (subset: string) =>
  resource(
    "VirtualService shop/web",
    `{hosts: [web], http: [{route: [{destination: {host: web${subset}}}]}]}`,
  );
const RULE = to("");

function state(files: Readonly<Record<string, readonly string[]>>): ConfigState {
  const texts = Object.entries(files).map(([file, documents]) => ({
    file,
    text: documents.map((one) => `${one}\n`).join("---\n"),
  }));
  return { resources: loadConfig(texts).resources as ResourceSet, files: texts };
}

/** `KEY QUIET_MS` of what the step is open for. */
function step(
  before: Readonly<Record<string, readonly string[]>>,
  next: Readonly<Record<string, readonly string[]>>,
): string[] {
  return openEnds(state(next), state(before)).map(({ key, quietMs }) => `${key} ${quietMs}`);
}

describe("openEnds()", () => {
  test("openEnds() of an edit that adds and changes is nothing", () => {
    expect(step({ "a.yaml": [WEB] }, { "a.yaml": [WEB], "b.yaml": [RULE] })).toEqual([]);
    expect(step({ "a.yaml": [WEB] }, { "a.yaml": [WEB.replace("8080", "9090")] })).toEqual([]);
  });

  test("openEnds() has what goes, and is patient about what is called", () => {
    const both = { "a.yaml": [WEB], "b.yaml": [RULE] };
    expect(step(both, { "a.yaml": [WEB] })).toEqual([`VirtualService shop/web ${QUIET_MS}`]);
    expect(step({ "a.yaml": [WEB] }, {})).toEqual(["Service shop/web null"]);
  });

  test("openEnds() has nothing of what moves to another file", () => {
    expect(step({ "a.yaml": [WEB], "b.yaml": [RULE] }, { "c.yaml": [RULE, WEB] })).toEqual([]);
  });

  test("openEnds() has where a rule leads that is not there", () => {
    const [only, ...others] = step({ "a.yaml": [WEB] }, { "a.yaml": [WEB], "b.yaml": [to(", subset: v1")] });
    expect(others).toEqual([]);
    expect(only).toContain('the subset "v1"');
    expect(only).toEndWith(" null");
  });

  test("openEnds() has a file that ends where it went on before", () => {
    const many = ["a", "b", "c"].map((name) => service(name, "shop"));
    expect(step({ "a.yaml": many }, { "a.yaml": many.slice(0, 2) })).toEqual([
      "Service shop/c null",
      `a.yaml ${QUIET_MS}`,
    ]);
  });

  test("openEnds() has a file that is being written, valid or not, however it looks", () => {
    const before = state({ "a.yaml": [WEB] });
    const next = state({ "a.yaml": [WEB], "b.yaml": [RULE] });
    const files = next.files.map((file) => ({ ...file, writer: "writing" as const }));
    for (const resources of [next.resources, null]) {
      expect(openEnds({ resources, files }, before).map(({ key, waitMaxMs }) => [key, waitMaxMs]))
        .toEqual([["b.yaml is being written", WRITER_WAIT_MS]]);
    }
    expect(openEnds({ resources: null, files: next.files }, before)).toEqual([]);
  });

  test("openEnds() has nothing of a file that ends where it went on before, once its writer has closed it", () => {
    const text = (rows: readonly string[]) => `# ${rows.join("\n# ")}\n`;
    const of = (rows: readonly string[], writer?: "done") => ({
      resources: loadConfig([]).resources as ResourceSet,
      files: [{ file: "a.yaml", text: text(rows), ...(writer === undefined ? {} : { writer }) }],
    });
    const before = of(["a", "b", "c", "d", "e"]);
    expect(openEnds(of(["a", "b", "c", "d"]), before).map(({ key }) => key)).toEqual(["a.yaml"]);
    expect(openEnds(of(["a", "b", "c", "d"], "done"), before)).toEqual([]);
  });
});
