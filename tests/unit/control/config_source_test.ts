import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigSource } from "../../../src/control/config_source.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createLog } from "../../../src/telemetry/log.ts";

const root = mkdtempSync(join(tmpdir(), "bowline-source-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What a start with these files says: level and message of each line. */
async function start(name: string, files: Readonly<Record<string, string>>): Promise<string[]> {
  const path = join(root, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  const lines: string[] = [];
  const write = (line: string) => {
    const { level, message } = JSON.parse(line) as { level: string; message: string };
    lines.push(`${level} ${message}`);
  };
  const log = createLog({ clock: systemClock, format: "json", write });
  const source = new ConfigSource({
    ...{ path, dataDirectory: root, trustDomain: "mesh.test", clock: systemClock, log },
  });
  await source.start();
  source.close();
  return lines;
}

describe("ConfigSource.start()", () => {
  test("ConfigSource.start() warns of a directory without a file, which serves nobody", async () => {
    expect(await start("empty", { "notes.txt": "" })).toEqual([
      "info Loaded the configuration",
      "warn No YAML file is there: the mesh has neither services nor rules",
    ]);
  });

  test("ConfigSource.start() has nothing to warn of where there is one", async () => {
    expect(await start("one", { "a.yaml": "" })).toEqual(["info Loaded the configuration"]);
  });
});
