/**
 * Everything that must hold before a release, in stages: checks, unit tests, fuzz, build, integration tests against
 * the executable. Stops after the first stage that fails; the last line is always `N passed, N failed`.
 * `scripts/test.ts DENO`: the Deno that runs the checks.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readSummary, type TestSummary } from "./test_summary.ts";

/** No test is about its own speed: it may take long where the machine is slow, and real processes start and join. */
const TEST_TIMEOUT_MS = 60_000;

/**
 * Two files at once: of integration tests since most of their time is waiting, and no two have an address in common.
 * Those of unit tests share their modules with the ones before.
 */
const AT_ONCE = "--parallel=2";

const root = join(import.meta.dirname, "..");
const bun = process.execPath;
const deno = process.argv[2] ?? "deno";

type Stage = () => Promise<TestSummary>;

const stages: readonly [string, Stage][] = [
  ["checks", () => step(deno, "task", "--quiet", "ok:static")],
  ["Debian's programs", () => step(bun, "scripts/debian_packages.ts")],
  ["unit tests", () => tests("unit", AT_ONCE, "--no-isolate")],
  ["fuzz", () => tests("fuzz")],
  ["build", () => step(bun, "scripts/build.ts")],
  ["integration tests", () => tests("integration", AT_ONCE)],
];

let passed = 0;
let failed = 0;
for (const [name, stage] of stages) {
  console.error(`\n== ${name}`);
  const summary = await stage();
  passed += summary.passed;
  failed += summary.failed;
  if (summary.failed > 0) break;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** A stage without tests of its own: it counts only when it fails. */
async function step(...command: string[]): Promise<TestSummary> {
  const { exitCode } = await run(command);
  return { passed: 0, failed: exitCode === 0 ? 0 : 1 };
}

async function tests(area: string, ...more: readonly string[]): Promise<TestSummary> {
  if (!hasTests(join(root, "tests", area))) {
    console.error(`tests/${area} is empty`);
    return { passed: 0, failed: 0 };
  }
  const flags = ["--only-failures", "--timeout", String(TEST_TIMEOUT_MS), ...more];
  const { exitCode, output } = await run([bun, "test", ...flags, `./tests/${area}/`]);
  return readSummary(output, exitCode);
}

function hasTests(folder: string): boolean {
  return existsSync(folder) &&
    readdirSync(folder, { recursive: true }).some((file) => String(file).endsWith("_test.ts"));
}

/** Runs to the end with both streams passed on as they come, and kept. */
async function run(command: string[]): Promise<{ exitCode: number; output: string }> {
  const env = { ...process.env, BOWLINE_BIN: join(root, "dist", "bowline") };
  try {
    const child = Bun.spawn(command, { cwd: root, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([passOn(child.stdout), passOn(child.stderr)]);
    return { exitCode: await child.exited, output: `${stdout}\n${stderr}` };
  } catch (error) {
    console.error(`${command[0]} could not be started: ${(error as Error).message}`);
    return { exitCode: 1, output: "" };
  }
}

async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    process.stderr.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
