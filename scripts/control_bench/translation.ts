/**
 * What an edit costs pilot itself, in this process: from two sets of resources to what each proxy is sent. In CPU time,
 * since other programs on the machine are none of its business.
 */
import { ConfigReader } from "../../src/config/loader.ts";
import type { ResourceSet } from "../../src/config/resource.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { difference, type ProxyView } from "../../src/pilot/proxy_view.ts";
import type { MeshWorkload } from "../../src/pilot/file_workloads.ts";
import { WorkloadRegistry } from "../../src/pilot/registry.ts";
import { World } from "../../src/pilot/world.ts";
import { readSourceFiles } from "../../src/runtime/read_files.ts";
import { percentile } from "../bench/row.ts";
import type { Edit } from "./generated_config.ts";

export interface TranslationTimes {
  /** The world after the edit, until the first proxy's difference is known; median, milliseconds of CPU. */
  readonly one: number;
  /** The same for all proxies. */
  readonly all: number;
}

/** Applies the edits one after the other. */
export async function translationTimes(
  directory: string,
  trustDomain: string,
  workloads: readonly string[],
  edits: readonly (() => Edit)[],
): Promise<TranslationTimes> {
  const reader = new ConfigReader();
  const registry = new WorkloadRegistry({ clock: systemClock, trustDomain });
  const read = async () => {
    const { resources } = reader.read(await readSourceFiles(directory));
    registry.setFiles((resources as ResourceSet).workloadEntries);
    return { resources: resources as ResourceSet, workloads: registry.workloads(), trustDomain };
  };
  let world = new World(await read(), null);
  const proxies = () => workloads.map((workload) => registry.get(workload) as MeshWorkload);
  let views: ProxyView[] = proxies().map((proxy) => world.view(proxy));
  const [one, all]: [number[], number[]] = [[], []];
  for (const edit of edits) {
    edit().apply();
    const input = await read();
    const before = process.cpuUsage();
    world = new World(input, world);
    const next: ProxyView[] = [];
    for (const [index, proxy] of proxies().entries()) {
      const view = world.view(proxy);
      difference(views[index] as ProxyView, view);
      next.push(view);
      if (index === 0) one.push(cpuMsSince(before));
    }
    all.push(cpuMsSince(before));
    views = next;
  }
  const median = (samples: number[]) => percentile(samples.sort((a, b) => a - b), 0.5);
  return { one: median(one), all: median(all) };
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
