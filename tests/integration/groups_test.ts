/** Groups of workloads: members join with tokens of the group, and probes take them out and put them back. */
import { beforeAll, describe, expect } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import type { Endpoint } from "../../src/model/cluster.ts";
import type { VersionedResource } from "../../src/model/snapshot.ts";
import { bundleServer, GrpcServer } from "./grpc_peers.ts";
import { Mesh, type ProxyRow } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { only, scrape, total } from "./scrape.ts";

const mesh = new Mesh("127.0.40");
const CLIENT = mesh.address(10);
const FIRST = mesh.address(11);
const SECOND = mesh.address(12);
const WORKER = mesh.address(13);
const GRPC_PORT = 9000;

/** The sidecar of the first member. */
let first: Bowline;

/** Answers 500 to its probe. */
const ill = new Set<string>();

endEverythingAfterwards();

function group(name: string, probe: string): string {
  return `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: ${name}, namespace: shop }
spec:
  metadata: { labels: { app: ${name}, version: v2 } }
  template: { serviceAccount: ${name}-account, ports: { http: 8080 } }
  probe: { ${probe}, periodSeconds: 1, failureThreshold: 2, successThreshold: 2, initialDelaySeconds: 1, timeoutSeconds: 3 }
`;
}

/** Starts a sidecar with a new token of the group. */
async function joinGroup(name: string, at: number): Promise<Bowline> {
  const tokenFile = await mesh.tokenFile({ group: `shop/${name}` });
  return await mesh.startSidecar(`shop/${name}`, { at, tokenFile, data: `${name}-${at}` });
}

const searchApp = (name: string, address: string) =>
  startEcho(name, address, (request, response) => {
    if (request.url !== "/healthz") return false;
    response.statusCode = ill.has(name) || request.headers["x-probe"] !== "here" ? 500 : 200;
    response.end();
    return true;
  });

beforeAll(async () => {
  mesh.write("services.yaml", service("search"), service("worker"), workload("client", CLIENT));
  mesh.write(
    "search.yaml",
    group("search", "httpGet: { path: /healthz, port: 8080, httpHeaders: [{ name: x-probe, value: here }] }"),
  );
  mesh.write("worker.yaml", group("worker", "tcpSocket: { port: 8080 }"));
  await mesh.startControlPlane();
  await Promise.all([searchApp("first", FIRST), searchApp("second", SECOND), startEcho("worker", WORKER)]);
  await mesh.startSidecar("shop/client", { at: 10 });
  [first] = await Promise.all([joinGroup("search", 11), joinGroup("search", 12), joinGroup("worker", 13)]);
});

async function rowAt(address: string): Promise<ProxyRow | undefined> {
  return (await mesh.proxies()).find((row) => row.address === address);
}

/** Waits until the member's probe says so, and the caller has heard of it. */
async function untilHealth(address: string, health: "healthy" | "unhealthy"): Promise<void> {
  await until(`${address} is ${health}`, async () => (await rowAt(address))?.health === health);
  await until(`the caller knows that ${address} is ${health}`, async () => {
    const endpoints = (await callersEndpoints()).filter((endpoint) => endpoint.address === address);
    return endpoints.length === 1 && (endpoints[0]?.health ?? "healthy") === health;
  });
}

async function callersEndpoints(): Promise<Endpoint[]> {
  const unix = join(mesh.dataOf("shop/client"), "admin.sock");
  const dump = await (await fetch("http://sidecar/config_dump", { unix })).json() as Record<
    string,
    VersionedResource
  >;
  return Object.values(dump).flatMap(({ body }) => body.kind === "endpoints" ? body.endpoints : []);
}

/** Who answered how many of so many calls; statuses of those who did not say. */
async function callSearch(calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls; i++) {
    const { status, body } = await viaSidecar(CLIENT, "search");
    const who = status === 200 ? (JSON.parse(body) as Echo).app : String(status);
    counts[who] = (counts[who] ?? 0) + 1;
  }
  return counts;
}

describe("a group of two", () => {
  scenario("members have names of their own, the group's identity, and get the group's traffic", async () => {
    await untilHealth(FIRST, "healthy");
    await untilHealth(SECOND, "healthy");
    const names = [(await rowAt(FIRST))?.workload, (await rowAt(SECOND))?.workload];
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(/^shop\/search-[a-z0-9]{8}$/);
    const counts = await callSearch(40);
    expect(Object.keys(counts).sort()).toEqual(["first", "second"]);
    const members = {
      destination_principal: "spiffe://cluster.local/ns/shop/sa/search-account",
      destination_version: "v2",
      response_code: "200",
    };
    expect(total(await scrape(CLIENT), "istio_requests_total", members)).toBe(40);
  });

  scenario("members are in no file, and explain sees them where it asks the control plane", async () => {
    const explain = async (...more: readonly string[]) => {
      const call = ["--config", mesh.config, "--from", "shop/client", "http://search/"];
      const { stdout } = await bowline(["explain", ...call, ...more]);
      return stdout;
    };
    expect(await explain()).toContain("503 UH: no workload stands behind it");
    expect(await explain()).toContain("--live asks it");
    const live = await explain("--live", "--data", mesh.controlPlaneData);
    for (const address of [FIRST, SECOND]) {
      expect(live).toMatch(new RegExp(`${address}:8080 +shop/search-[a-z0-9]{8} +mTLS`));
    }
    expect(live).not.toContain("UH");
  });

  scenario(
    "a member whose probe fails gets no call and costs none, and is back when it is well",
    async () => {
      ill.add("second");
      await untilHealth(SECOND, "unhealthy");
      expect(await callSearch(30)).toEqual({ first: 30 });
      expect(only(await scrape(SECOND), "bowline_workload_healthy", {}).value).toBe(0);
      ill.delete("second");
      await untilHealth(SECOND, "healthy");
      expect(Object.keys(await callSearch(40)).sort()).toEqual(["first", "second"]);
      const { stdout } = await bowline(["proxy-status", "--data", mesh.controlPlaneData]);
      expect(stdout).toMatch(/shop\/search-\S+ +sidecar +127\.0\.40\.12 +synced +healthy/);
    },
  );

  scenario("members stay who they are, and serve, when the control plane starts anew", async () => {
    const before = [(await rowAt(FIRST))?.workload, (await rowAt(SECOND))?.workload];
    let going = true;
    const failed: string[] = [];
    const calling = (async () => {
      while (going) failed.push(...Object.keys(await callSearch(1)).filter((who) => /^\d+$/.test(who)));
    })();
    await mesh.controlPlane.end();
    await mesh.startControlPlane();
    await mesh.untilSynced(4);
    await untilHealth(FIRST, "healthy");
    await untilHealth(SECOND, "healthy");
    going = false;
    await calling;
    expect(failed).toEqual([]);
    expect([(await rowAt(FIRST))?.workload, (await rowAt(SECOND))?.workload]).toEqual(before);
  });

  scenario("a member that comes back with another token of its group is the same member", async () => {
    const before = (await rowAt(FIRST))?.workload;
    await first.end();
    expect(await callSearch(10)).toEqual({ second: 10 });
    first = await joinGroup("search", 11);
    await untilHealth(FIRST, "healthy");
    expect((await rowAt(FIRST))?.workload).toBe(before as string);
    expect(Object.keys(await callSearch(40)).sort()).toEqual(["first", "second"]);
  });

  scenario("a member that lost its disk joins again under its name, and is a member", async () => {
    const workload = (await rowAt(FIRST))?.workload as string;
    await first.end();
    first = await mesh.startSidecar(workload, { at: 11, data: "search-11-anew" });
    await untilHealth(FIRST, "healthy");
    expect((await rowAt(FIRST))?.workload).toBe(workload);
  });

  scenario("a token of a group that the files do not have is not to be had", async () => {
    const create = (group: string) =>
      bowline(["token", "create", "--group", group, "--data", mesh.controlPlaneData]);
    const { code, stderr } = await create("shop/nobody");
    expect(code).not.toBe(0);
    expect(stderr).toContain('The files have no WorkloadGroup "shop/nobody"\n');
    expect((await create("shop/wroker")).stderr).toContain('"shop/wroker"; did you mean shop/worker?\n');
  });
});

describe("every kind of probe", () => {
  const probe = (text: string) => mesh.write("worker.yaml", group("worker", text));

  scenario("tcpSocket", async () => {
    await untilHealth(WORKER, "healthy");
    probe("tcpSocket: { port: 8081 }");
    await untilHealth(WORKER, "unhealthy");
    expect((await viaSidecar(CLIENT, "worker")).status).toBe(503);
    probe("tcpSocket: { port: 8080 }");
    await untilHealth(WORKER, "healthy");
    expect((await viaSidecar(CLIENT, "worker")).status).toBe(200);
  });

  scenario("exec", async () => {
    const file = join(mesh.directory, "well");
    probe(`exec: { command: [test, -e, "${file}"] }`);
    await untilHealth(WORKER, "unhealthy");
    writeFileSync(file, "");
    await untilHealth(WORKER, "healthy");
    rmSync(file);
    await untilHealth(WORKER, "unhealthy");
  });

  scenario("grpc", async () => {
    await GrpcServer.start(await bundleServer(mesh.directory), `${WORKER}:${GRPC_PORT}`);
    probe(`grpc: { port: ${GRPC_PORT} }`);
    await untilHealth(WORKER, "healthy");
    probe(`grpc: { port: ${GRPC_PORT}, service: down }`);
    await untilHealth(WORKER, "unhealthy");
  });
});
