import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigSource } from "../../../src/control/config_source.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { createLog } from "../../../src/telemetry/log.ts";

const root = mkdtempSync(join(tmpdir(), "bowline-source-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Findings are told a little later. */
const FINDINGS_MS = 1000;

/** Selects nobody, and no VirtualService has its host. */
const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: main, namespace: edge }
spec:
  selector: { istio: ingressgateway }
  servers:
    - { port: { number: 80, name: http, protocol: HTTP }, hosts: [shop.example.com] }
`;

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
  const clock = new ManualClock();
  const log = createLog({ clock, format: "json", write });
  const source = new ConfigSource({
    ...{ path, dataDirectory: root, trustDomain: "mesh.test", clock, log },
  });
  await source.start();
  clock.advance(FINDINGS_MS);
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

  test("ConfigSource.start() tells of each finding as loudly as it is meant", async () => {
    const lines = await start("findings", { "gateway.yaml": GATEWAY });
    expect(lines.map((line) => line.replace(/ Gateway .*/, ""))).toEqual([
      "info Loaded the configuration",
      "warn gateway.yaml:5:13: warning IST0101",
      "info gateway.yaml:7:66: info BOW0072",
    ]);
  });
});
