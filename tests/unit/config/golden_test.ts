import { describe, test } from "bun:test";
import { formatFinding } from "../../../src/config/format_finding.ts";
import { loadConfig } from "../../../src/config/loader.ts";
import { golden, goldenFiles, goldenInput } from "../../golden.ts";

describe("findings as people read them", () => {
  for (const file of goldenFiles("config")) {
    test(`loadConfig() says of ${file} what the golden file says`, () => {
      const { findings } = loadConfig([{ file: "mesh.yaml", text: goldenInput(file) }]);
      golden(file, findings.map(formatFinding).join("\n"));
    });
  }
});
