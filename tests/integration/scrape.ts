/** What a sidecar tells Prometheus, read as Prometheus reads it. */
import { expect } from "bun:test";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** `/stats/prometheus` of a sidecar. Throws at a line that is none of the format. */
export async function scrape(address: string): Promise<Sample[]> {
  const response = await fetch(`http://${address}:15090/stats/prometheus`);
  expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const match = /^([a-z_]+)(?:\{(.*)\})? (-?[0-9.e+]+)$/.exec(line);
    if (match === null) throw new Error(`This is no sample: ${line}`);
    const labels = [...(match[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"(?:,|$)/g)];
    return {
      name: match[1] as string,
      labels: Object.fromEntries(labels.map(([, name, value]) => [name, value])),
      value: Number(match[3]),
    };
  });
}

/** The one sample of a name that has these labels. */
export function only(samples: readonly Sample[], name: string, labels: Labels): Sample {
  const found = samples.filter((sample) => sample.name === name && has(sample, labels));
  expect(found).toHaveLength(1);
  return found[0] as Sample;
}

/** The sum of all samples of a name that have these labels. */
export function total(samples: readonly Sample[], name: string, labels: Labels): number {
  return samples.filter((sample) => sample.name === name && has(sample, labels))
    .reduce((sum, { value }) => sum + value, 0);
}

function has(sample: Sample, labels: Labels): boolean {
  return Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
}
