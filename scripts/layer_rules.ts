/** Which folder of `src` may import which: the arrows that `src/README.md` draws. */
import { posix } from "node:path";
import { lineAt, splitSource } from "./source_text.ts";

export interface Problem {
  /** Relative to the repository. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** From the top; a folder imports from itself and from lower tiers, never from its own tier's neighbours. */
const TIERS: readonly (readonly string[])[] = [
  ["main", "cli"],
  ["control", "sidecar"],
  ["pilot", "citadel", "mixer", "proxy"],
  ["config", "identity", "telemetry"],
  ["model", "runtime"],
  ["lib"],
];

/** Arrows that the tiers would allow, and why they are not wanted. */
const FORBIDDEN: readonly { from: string; to: string; why: string }[] = [
  { from: "proxy", to: "config", why: "the proxy sees snapshots, never Istio resources" },
];

/** Everything else that a file in `src` may pull into the executable. */
const OUTSIDE = /^(deno\.json|config\/.+)$/;

/** Layer problems of one file in `src`; `file` is relative to the repository. */
export function checkLayers(file: string, text: string): Problem[] {
  const from = layerOf(file);
  if (from === undefined || tierOf(from) === -1) {
    return [{ file, line: 1, message: `This folder stands in no layer; the layers are ${drawTiers()}` }];
  }
  const problems: Problem[] = [];
  for (const { specifier, line } of importsOf(text)) {
    const why = refusal(from, file, specifier);
    if (why !== undefined) {
      problems.push({ file, line, message: `"${specifier}" must not be imported: ${why}` });
    }
  }
  return problems;
}

/** The files of the repository that a file imports, for types alone too. */
export function importedFiles(file: string, text: string): string[] {
  return importsOf(text)
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => resolve(file, specifier));
}

/** Every import, re-export and dynamic import with its line. */
export function importsOf(text: string): { specifier: string; line: number }[] {
  const source = splitSource(text).codeAndStrings;
  const pattern =
    /\b(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"'\n]+)["']|\bimport\s*\(\s*["'`]([^"'`\n]+)["'`]|\bimport\s*["']([^"'\n]+)["']/g;
  return [...source.matchAll(pattern)].map((match) => {
    const specifier = (match[1] ?? match[2] ?? match[3]) as string;
    // The specifier ends the match: the line on which it stands, not where a long import began.
    return { specifier, line: lineAt(text, match.index + match[0].length - 1) };
  });
}

function refusal(from: string, file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = resolve(file, specifier);
  if (!target.startsWith("src/")) {
    return OUTSIDE.test(target) ? undefined : "it stands outside src";
  }
  const to = layerOf(target);
  if (to === undefined || tierOf(to) === -1) return "it stands in no layer";
  if (to === from) return undefined;
  const forbidden = FORBIDDEN.find((arrow) => arrow.from === from && arrow.to === to);
  if (forbidden !== undefined) return forbidden.why;
  if (from === "main" && to === "cli") return undefined;
  if (tierOf(from) < tierOf(to)) return undefined;
  return `${from} may import only what stands below it in ${drawTiers()}`;
}

function resolve(file: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}

/** `src/proxy/route/conditions.ts` -> `proxy`, `src/main.ts` -> `main`. */
function layerOf(file: string): string | undefined {
  const [root, first, ...rest] = file.split("/");
  if (root !== "src" || first === undefined) return undefined;
  return rest.length > 0 ? first : first.replace(/\.ts$/, "");
}

function tierOf(layer: string): number {
  return TIERS.findIndex((tier) => tier.includes(layer));
}

function drawTiers(): string {
  return TIERS.map((tier) => tier.join(", ")).join(" > ");
}
