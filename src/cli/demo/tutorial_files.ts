/** The tutorial's resources, built into the executable, so that the demo needs nothing but itself. */
import services from "../../../config/tutorial/mesh/services.yaml" with { type: "text" };
import workloads from "../../../config/tutorial/mesh/workloads.yaml" with { type: "text" };
import abort from "../../../config/tutorial/abort/recommendation.yaml" with { type: "text" };
import allToV1 from "../../../config/tutorial/all-to-v1/recommendation.yaml" with { type: "text" };
import allToV2 from "../../../config/tutorial/all-to-v2/recommendation.yaml" with { type: "text" };
import circuitBreaking from "../../../config/tutorial/circuit-breaking/recommendation.yaml" with {
  type: "text",
};
import delay from "../../../config/tutorial/delay/recommendation.yaml" with { type: "text" };
import egress from "../../../config/tutorial/egress/egress.yaml" with { type: "text" };
import loadBalancing from "../../../config/tutorial/load-balancing/recommendation.yaml" with { type: "text" };
import mirroring from "../../../config/tutorial/mirroring/recommendation.yaml" with { type: "text" };
import retry from "../../../config/tutorial/retry/recommendation.yaml" with { type: "text" };
import split5050 from "../../../config/tutorial/split-50-50/recommendation.yaml" with { type: "text" };
import split9010 from "../../../config/tutorial/split-90-10/recommendation.yaml" with { type: "text" };
import timeout from "../../../config/tutorial/timeout/recommendation.yaml" with { type: "text" };
import userAgent from "../../../config/tutorial/user-agent/recommendation.yaml" with { type: "text" };
import type { ChapterName } from "./chapters.ts";

/** File name -> content. */
export type Files = Readonly<Record<string, string>>;

/** Services and workloads: what every chapter is about. */
export const MESH_FILES: Files = { "services.yaml": text(services), "workloads.yaml": text(workloads) };

/** A chapter's rules, without the mesh. */
export const CHAPTER_FILES: Readonly<Record<ChapterName, Files>> = {
  "all-to-v2": { "recommendation.yaml": text(allToV2) },
  "all-to-v1": { "recommendation.yaml": text(allToV1) },
  "split-50-50": { "recommendation.yaml": text(split5050) },
  "split-90-10": { "recommendation.yaml": text(split9010) },
  "user-agent": { "recommendation.yaml": text(userAgent) },
  "mirroring": { "recommendation.yaml": text(mirroring) },
  "load-balancing": { "recommendation.yaml": text(loadBalancing) },
  "retry": { "recommendation.yaml": text(retry) },
  "timeout": { "recommendation.yaml": text(timeout) },
  "circuit-breaking": { "recommendation.yaml": text(circuitBreaking) },
  "abort": { "recommendation.yaml": text(abort) },
  "delay": { "recommendation.yaml": text(delay) },
  "egress": { "egress.yaml": text(egress) },
};

/** What an import as text is; the type checker takes it for a module. */
function text(imported: unknown): string {
  return imported as string;
}
