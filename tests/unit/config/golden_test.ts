import { describe, test } from "bun:test";
import { analyze } from "../../../src/config/analysis/analyzers.ts";
import { formatFinding } from "../../../src/config/format_finding.ts";
import { loadConfig } from "../../../src/config/loader.ts";
import { resourcesIn } from "./config_texts.ts";
import { golden, goldenFiles, goldenInput } from "../../golden.ts";

describe("findings as people read them", () => {
  for (const file of goldenFiles("config")) {
    test(`loadConfig() says of ${file} what the golden file says`, () => {
      const { findings } = loadConfig([{ file: "mesh.yaml", text: goldenInput(file) }]);
      golden(file, findings.map(formatFinding).join("\n"));
    });
  }
});

describe("findings across resources, as people read them", () => {
  for (const file of goldenFiles("analysis")) {
    test(`analyze() says of ${file} what the golden file says`, () => {
      // By the schemas alone: what is not implemented yet is analyzed all the same.
      const findings = analyze(resourcesIn(goldenInput(file)));
      golden(file, findings.map(formatFinding).sort().join("\n"));
    });
  }
});
