/**
 * Compiles the one executable: `scripts/build.ts [--target bun-linux-arm64] [--outfile PATH] [--force] [--quiet]`.
 * Two builds of one commit are byte-equal. Does nothing when nothing changed since the last build.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");

/** Everything that the executable is made of. */
const INPUTS = ["src", "config", "deno.json", "deno.lock", "scripts/build.ts"];

const { values: options } = parseArgs({
  options: {
    target: { type: "string" },
    outfile: { type: "string" },
    force: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});
const suffix = options.target === undefined ? "" : options.target.replace(/^bun/, "");
const outfile = options.outfile ?? join(root, "dist", `bowline${suffix}`);
// Beside the executable, so that each target and place knows what it was made of.
const stamp = join(dirname(outfile), `.${basename(outfile)}.inputs`);

const commit = gitCommit();
const inputs = hashInputs(commit);
if (!options.force && existsSync(outfile) && readOrEmpty(stamp) === inputs) {
  say(`${outfile} is up to date`);
} else {
  await build();
}

async function build(): Promise<void> {
  const startMs = performance.now();
  mkdirSync(dirname(outfile), { recursive: true });
  rmSync(stamp, { force: true });
  // What is embedded under relative paths must not depend on where the repository stands.
  process.chdir(root);
  const result = await Bun.build({
    entrypoints: ["src/main.ts"],
    target: "bun",
    compile: {
      ...(options.target === undefined ? {} : { target: options.target as Bun.Build.CompileTarget }),
      outfile,
      // A daemon must not run or read what lies in the directory where it was started.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    define: { BOWLINE_COMMIT: JSON.stringify(commit) },
    // Short names keep 0.6 MB out of each process's memory.
    minify: true,
    // A stack trace in a log names the file and line of the source; the map is only read when one is written.
    sourcemap: "inline",
    splitting: true,
    format: "esm",
    throw: false,
  });
  for (const log of result.logs) console.error(String(log));
  if (!result.success) process.exit(1);
  // The maps are inside; Bun leaves copies beside the executable.
  for (const name of readdirSync(dirname(outfile))) {
    if (name.endsWith(".map")) rmSync(join(dirname(outfile), name));
  }
  writeFileSync(stamp, inputs);
  say(`Built ${outfile} from ${commit} in ${Math.round(performance.now() - startMs)} ms`);
}

/** The commit that is built; marked when the inputs differ from it. */
function gitCommit(): string {
  const git = (...args: string[]) => {
    const { success, stdout } = Bun.spawnSync(["git", "-C", root, ...args], { stderr: "ignore" });
    return success ? stdout.toString().trim() : undefined;
  };
  try {
    const head = git("rev-parse", "--short=12", "HEAD");
    if (head === undefined) return "unknown";
    return git("status", "--porcelain", "--", ...INPUTS) === "" ? head : `${head}-dirty`;
  } catch {
    // No git on this machine: a source archive builds too.
    return "unknown";
  }
}

function hashInputs(commit: string): string {
  const hash = createHash("sha256").update(`${commit}\n${Bun.version}\n`);
  for (const file of INPUTS.flatMap(filesUnder).sort()) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\n${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function filesUnder(path: string): string[] {
  if (!existsSync(join(root, path))) return [];
  if (/\.\w+$/.test(path)) return [path];
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

function readOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function say(text: string): void {
  if (!options.quiet) console.error(text);
}
