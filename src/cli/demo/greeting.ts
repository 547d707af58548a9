/** What `bowline demo` says once the mesh runs: where to call, what to see, what to change, where to look. */
import { PORTS } from "../../model/ports.ts";
import type { Chapter } from "./chapters.ts";
import { DEMO_CONTROL_PLANE, DEMO_WORKLOADS, entryUrl } from "./topology.ts";
import { CHAPTER_FILES } from "./tutorial_files.ts";

export interface Greeting {
  readonly seconds: string;
  /** Directories: of the resources, of everything, of the control plane's data. */
  readonly config: string;
  readonly directory: string;
  readonly data: string;
  readonly chapter: Chapter | null;
}

export function greeting({ seconds, config, directory, data, chapter }: Greeting): string {
  const [file] = chapter === null ? ["*.yaml"] : Object.keys(CHAPTER_FILES[chapter.name]);
  const lines = [
    ...(chapter === null ? [] : [`chapter    ${chapter.name}: ${chapter.title}`]),
    `call it    curl ${entryUrl()}`,
    ...(chapter?.look ?? []).map((line, index) => `${index === 0 ? "look for " : "         "}  ${line}`),
    `change it  edit ${config}/${file}; an edit is live within a second`,
    ...(chapter === null ? [] : [`           cp ${directory}/tutorial/CHAPTER/* ${config}/`]),
    `watch it   bowline graph --data ${data}`,
    `           curl http://${DEMO_CONTROL_PLANE}:${PORTS.controlPlaneApi}/api/graph`,
    `logs       ${directory}/logs`,
  ];
  const parts = `a control plane and ${DEMO_WORKLOADS.length} workloads, each behind its own sidecar`;
  return `The mesh runs: ${parts} (${seconds} s).

${lines.map((line) => `  ${line}`).join("\n")}

Ctrl-C stops everything and removes ${directory}.`;
}
