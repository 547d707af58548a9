/** What a request costs with 1,000 VirtualServices of 10 rules, compared with one: the same traffic, rounds in turn. */
import { rmSync, writeFileSync } from "node:fs";
import { wrk } from "../load.ts";
import { cpuSeconds, type Pair, type Target } from "../pair.ts";
import { until } from "../processes.ts";
import { spread } from "../row.ts";
import type { Work } from "../work.ts";

const RULES = 10;
const OTHERS = 999;
const CONNECTIONS = 64;
/** The host of the last rule, which tells whether a sidecar has them. */
const LAST_HOST = `many-${OTHERS - 1}.test`;

const rules = (last: string) =>
  Array.from(
    { length: RULES - 1 },
    (_, rule) => `  - match: [{uri: {prefix: /never-${rule}}}]\n    route: [{destination: {host: web}}]\n`,
  ).join("") + last;

const virtualService = (name: string, host: string, last: string) =>
  `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: bench}
spec:
  hosts: [${host}]
  http:
${rules(last)}`;

/** It goes before the pair's own rule for the host, by its name. */
const OWN = virtualService("a-web", "web", "  - route: [{destination: {host: web}}]\n");
const MANY = Array.from(
  { length: OTHERS },
  (_, index) => virtualService(`many-${index}`, `many-${index}.test`, "  - directResponse: {status: 204}\n"),
);

export const manyRules: Work = {
  name: "rules",
  async run({ pairs, directory, rounds, seconds }) {
    const pair = pairs.find(({ name }) => name === "bowline") as Pair;
    const target = pair.target("small") as Target;
    const file = `${directory}/config/many.yaml`;
    const cost = async (documents: readonly string[]) => {
      writeFileSync(file, documents.join("---\n"));
      await until("the sidecar's rules", async () => await hasLast(target) === documents.length > 1);
      await wrk(target, "/66", CONNECTIONS, 1);
      const before = cpuSeconds(pair);
      const requests = await wrk(target, "/66", CONNECTIONS, seconds);
      return (cpuSeconds(pair) - before) / requests;
    };
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const one = await cost([OWN]);
      samples.push(await cost([OWN, ...MANY]) / one);
    }
    rmSync(file);
    return [{
      work: "1,000 VirtualServices of 10 rules ÷ one",
      unit: "CPU of a request",
      digits: 2,
      better: null,
      goal: "≤ 1.3",
      results: { bowline: spread(samples) },
    }];
  },
};

async function hasLast({ address, port }: Target): Promise<boolean> {
  const response = await fetch(`http://${address}:${port}/`, { headers: { host: LAST_HOST } });
  return response.status === 204;
}
