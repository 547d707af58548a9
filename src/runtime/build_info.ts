/** Which bowline this is: for `version`, for discovery's greeting, and for metrics. */
import manifest from "../../deno.json" with { type: "json" };

// Put in by scripts/build.ts; absent when bowline runs from source.
declare const BOWLINE_COMMIT: string | undefined;

export interface BuildInfo {
  /** Semantic version, as in deno.json. */
  readonly version: string;
  /** Git commit, `-dirty` when the sources differed from it; `source` when nothing was compiled. */
  readonly commit: string;
  /** Version of the Bun inside. */
  readonly bun: string;
}

export const BUILD_INFO: BuildInfo = {
  version: manifest.version,
  commit: typeof BOWLINE_COMMIT === "string" ? BOWLINE_COMMIT : "source",
  bun: Bun.version,
};
