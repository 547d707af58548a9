import { describe, expect, test } from "bun:test";
import { checkLayers, importsOf } from "../../../scripts/layer_rules.ts";

describe("importsOf()", () => {
  test("finds imports, re-exports, bare and dynamic imports with their lines", () => {
    const text = `// import "./comment.ts"
import a from "./a.ts";
import {
  b,
} from "./b.ts";
export * from './c.ts';
import "reflect-metadata";
const d = await import("./d.ts");
const text = Array.from("x");
`;
    expect(importsOf(text)).toEqual([
      { specifier: "./a.ts", line: 2 },
      { specifier: "./b.ts", line: 5 },
      { specifier: "./c.ts", line: 6 },
      { specifier: "reflect-metadata", line: 7 },
      { specifier: "./d.ts", line: 8 },
    ]);
  });
});

describe("checkLayers()", () => {
  const allowed = [
    ["src/main.ts", "./cli/program.ts"],
    ["src/cli/run_command.ts", "../control/control_plane.ts"],
    ["src/cli/output.ts", "./exit_codes.ts"],
    ["src/control/api.ts", "../mixer/graph.ts"],
    ["src/pilot/snapshot_builder.ts", "../config/resource.ts"],
    ["src/proxy/route/matcher.ts", "../../model/snapshot.ts"],
    ["src/proxy/route/matcher.ts", "../http1/parser.ts"],
    ["src/runtime/files.ts", "../lib/clock.ts"],
    ["src/cli/version_command.ts", "../../deno.json"],
    ["src/cli/demo_command.ts", "../../config/tutorial/mesh/services.yaml"],
    ["src/lib/clock.ts", "node:fs"],
  ];
  test.each(allowed)("lets %s import %s", (file, specifier) => {
    expect(checkLayers(file, `import x from "${specifier}";`)).toEqual([]);
  });

  const refused = [
    ["src/cli/output.ts", "../main.ts"],
    ["src/control/api.ts", "../sidecar/sidecar.ts"],
    ["src/sidecar/sidecar.ts", "../control/api.ts"],
    ["src/mixer/graph.ts", "../pilot/registry.ts"],
    ["src/mixer/graph.ts", "../cli/output.ts"],
    ["src/proxy/proxy.ts", "../config/resource.ts"],
    ["src/model/snapshot.ts", "../runtime/files.ts"],
    ["src/lib/clock.ts", "../model/ports.ts"],
    ["src/cli/output.ts", "../../scripts/build.ts"],
    ["src/cli/output.ts", "../elsewhere/thing.ts"],
  ];
  test.each(refused)("keeps %s from importing %s", (file, specifier) => {
    const text = `// A comment.\n\nimport type { X } from "${specifier}";\n`;
    expect(checkLayers(file, text)).toMatchObject([{ file, line: 3 }]);
  });

  test("says what is wrong and why", () => {
    expect(checkLayers("src/proxy/proxy.ts", `import "../config/resource.ts";`)[0]?.message)
      .toBe(`"../config/resource.ts" must not be imported: the proxy sees snapshots, never Istio resources`);
  });

  test("refuses a folder that stands in no layer", () => {
    expect(checkLayers("src/elsewhere/thing.ts", "")).toHaveLength(1);
  });
});
