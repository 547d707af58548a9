/** `bowline demo`, as the README walks through it. It has addresses of its own: 127.0.0.9 to 127.0.0.22. */
import { describe, expect } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEMO_APP_PORT, DEMO_WORKLOADS } from "../../src/cli/demo/topology.ts";
import {
  afterwards,
  Bowline,
  bowline,
  type Ended,
  endEverythingAfterwards,
  scenario,
  until,
} from "./bowline.ts";
import { curl } from "./clients.ts";

const ENTRY = "http://127.0.0.10:8080/";
const API = "http://127.0.0.9:15014";
const TUTORIAL = join(import.meta.dirname, "../../config/tutorial/split-90-10");
const SAFARI = join(import.meta.dirname, "../../config/tutorial/user-agent");
const V1 = /^customer => preference => recommendation v1 from 'recommendation-v1': \d+\n$/;
const V2 = /^customer => preference => recommendation v2 from 'recommendation-v2': \d+\n$/;

/** Where the demo puts what it removes again. */
const temporary = mkdtempSync(join(tmpdir(), "bowline-it-"));
const surroundings = { env: { TMPDIR: temporary } };

endEverythingAfterwards();
afterwards(() => rmSync(temporary, { recursive: true, force: true }));

interface Result {
  readonly requests: number;
  readonly ok: number;
  readonly errors: number;
  readonly byDestination: Readonly<Record<string, number>>;
  readonly mtls: boolean;
}

/** Runs the demo to its end, and sees to it that nothing is left. */
async function demo(...args: readonly string[]): Promise<Ended> {
  const ended = await bowline(["demo", ...args], surroundings);
  expect(readdirSync(temporary)).toEqual([]);
  await expect(curl(ENTRY)).rejects.toThrow();
  return ended;
}

async function result(...args: readonly string[]): Promise<Result> {
  const { code, stdout } = await demo(...args, "-o", "json");
  expect(code).toBe(0);
  return JSON.parse(stdout) as Result;
}

function v1Of(byDestination: Result["byDestination"]): number {
  return byDestination["recommendation-v1"] as number;
}

describe("demo --requests", () => {
  scenario("the tutorial: all arrive, at v1 or at v2, all over mTLS", async () => {
    const { byDestination, ...rest } = await result("--requests", "1000");
    expect(rest).toEqual({ requests: 1000, ok: 1000, errors: 0, mtls: true });
    expect(Object.keys(byDestination)).toEqual(["recommendation-v1", "recommendation-v2"]);
    expect(v1Of(byDestination) + (byDestination["recommendation-v2"] as number)).toBe(1000);
    // 90 %, give or take five standard deviations.
    expect(v1Of(byDestination)).toBeGreaterThanOrEqual(850);
    expect(v1Of(byDestination)).toBeLessThanOrEqual(950);
  });

  scenario("the more requests, the nearer to 90 of 100 for v1", async () => {
    const { ok, byDestination } = await result("--requests", "4000");
    expect(ok).toBe(4000);
    expect(v1Of(byDestination) / 4000).toBeGreaterThanOrEqual(0.87);
    expect(v1Of(byDestination) / 4000).toBeLessThanOrEqual(0.93);
  });

  scenario("routing by a header: Safari goes to v1", async () => {
    const args = ["--config", SAFARI, "--requests", "200"];
    expect(await result(...args, "--header", "baggage-user-agent: Mozilla Safari/1")).toEqual({
      ...{ requests: 200, ok: 200, errors: 0, mtls: true },
      byDestination: { "recommendation-v1": 200, "recommendation-v2": 0 },
    });
  });

  scenario("routing by a header: everybody else goes to v2", async () => {
    expect(await result("--config", SAFARI, "--requests", "200")).toMatchObject({
      ...{ ok: 200, errors: 0 },
      byDestination: { "recommendation-v1": 0, "recommendation-v2": 200 },
    });
  });

  scenario("for people: a table", async () => {
    const { code, stdout } = await demo("--requests", "20");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^DESTINATION +REQUESTS +SHARE\nrecommendation-v1 .*\nrecommendation-v2 /);
    expect(stdout).toContain("20 requests, 20 ok, 0 errors; all over mTLS\n");
  });
});

describe("demo, to play with", () => {
  let demo: Bowline;
  let config: string;
  let family: number[];

  /** Weights of v1 and v2 in the tutorial's file. */
  const edit = (change: (text: string) => string) => {
    const path = join(config, "recommendation.yaml");
    writeFileSync(`${path}~`, change(readFileSync(path, "utf8")));
    renameSync(`${path}~`, path);
  };
  const answer = async (...args: readonly string[]) => (await curl(...args, ENTRY)).body;
  const configStatus = async () => await (await fetch(`${API}/api/config`)).json();

  scenario("it starts, and says where to call, what to edit, where to look", async () => {
    demo = new Bowline("demo", ["demo"], surroundings);
    await demo.says("Ctrl-C");
    config = /edit +(\/\S+)\/recommendation\.yaml/.exec(demo.stderr)?.[1] as string;
    expect(config).toStartWith(temporary);
    expect(demo.stderr).toContain(`curl ${ENTRY}`);
    expect(demo.stderr).toContain(`${API}/api/graph`);
    family = childrenOf(demo.pid);
    // A control plane, five workloads with a program and a sidecar each, and a program outside the mesh.
    expect(family).toHaveLength(12);
  });

  scenario("curl gets the tutorial's answer", async () => {
    expect((await answer()).replace(/v[12]/g, "v1")).toMatch(V1);
  });

  scenario("all to v2: the edit takes effect", async () => {
    edit((text) => text.replace("weight: 90", "weight: 0").replace("weight: 10", "weight: 100"));
    await until("v2 answers ten times on end", async () => {
      for (let i = 0; i < 10; i++) if (!V2.test(await answer())) return false;
      return true;
    });
  });

  scenario("Safari to v1, as curl says who it is: an edit of another kind", async () => {
    const safari = readFileSync(join(SAFARI, "recommendation.yaml"), "utf8");
    edit(() => safari);
    await until("Safari gets v1", async () => V1.test(await answer("-A", "Mozilla/5.0 Safari/605.1")));
    expect(await answer("-A", "Mozilla/5.0 Firefox/130.0")).toMatch(V2);
  });

  scenario("a bad edit: what was there before goes on, and everybody is told", async () => {
    const { generation } = await configStatus();
    edit((text) => text.replace("subset: version-v1", "subsett: version-v1"));
    await until("the edit is refused", async () => (await configStatus()).rejected !== null);
    const status = await configStatus();
    expect(status.generation).toBe(generation);
    expect(status.rejected.findings).toHaveLength(1);
    const [finding] = status.rejected.findings;
    expect(finding).toMatchObject({ severity: "error", file: "recommendation.yaml" });
    expect(finding.line).toBeGreaterThan(1);
    expect(finding.hint).toContain('did you mean "subset"?');
    expect(await answer("-A", "Safari")).toMatch(V1);

    const validated = await bowline(["validate", config]);
    expect(validated.code).toBe(65);
    expect(validated.stderr).toContain(`recommendation.yaml:${finding.line}:${finding.column}: error `);
    const metrics = await (await fetch(`${API}/metrics`)).text();
    expect(metrics).toContain("bowline_config_rejected 1\n");
  });

  scenario("corrected: it is live again", async () => {
    edit((text) => text.replace("subsett: version-v1", "subset: version-v2"));
    await until("Safari gets v2", async () => V2.test(await answer("-A", "Safari")));
    expect((await configStatus()).rejected).toBeNull();
    expect((await bowline(["validate", config])).code).toBe(0);
  });

  scenario("the commands that it names work", async () => {
    const graph = /bowline graph --data (\S+)/.exec(demo.stderr)?.[1] as string;
    // Sidecars report every second.
    await until("the graph shows the calls", async () => {
      const { code, stdout } = await bowline(["graph", "--data", graph]);
      return code === 0 && /tutorial\/preference +tutorial\/recommendation-v2 .* yes$/m.test(stdout);
    });
    const status = await bowline(["proxy-status", "--data", graph]);
    expect(status.stdout.match(/ synced /g)).toHaveLength(5);
  });

  scenario(
    "Ctrl-C: it ends with 0, every process that it started is gone, and so are its files",
    async () => {
      expect(await demo.end("SIGINT")).toBe(0);
      expect(family.filter(isBowline)).toEqual([]);
      expect(readdirSync(temporary)).toEqual([]);
    },
  );

  scenario("the terminal is closed: likewise", async () => {
    demo = new Bowline("demo", ["demo"], surroundings);
    await demo.says("Ctrl-C");
    family = childrenOf(demo.pid);
    expect(await demo.end("SIGHUP")).toBe(0);
    expect(family.filter(isBowline)).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe("when it cannot start, one message says why, and nothing is left", () => {
  for (
    const [address, port, what] of [
      ["127.0.0.9", 15012, "the control plane's port"],
      ["127.0.0.10", 8080, "the entry"],
      ["127.0.0.12", 15008, "a sidecar's port"],
    ] as const
  ) {
    scenario(`${what} is taken: 69`, async () => {
      const server = await listen(address, port);
      const { code, stdout, stderr } = await bowline(["demo", "--requests", "5"], surroundings);
      await close(server);
      expect(stderr).toMatch(/^Error: [^\n]+\n( {2}[^\n]+\n)?$/);
      expect(stderr).toContain(`Cannot listen on ${address}:${port}: another process already does`);
      expect(stderr).toContain("\n  does another demo run? ");
      expect(stderr.match(/Error:/g)).toHaveLength(1);
      expect([code, stdout]).toEqual([69, ""]);
      expect(readdirSync(temporary)).toEqual([]);
      for (const program of DEMO_WORKLOADS) await close(await listen(program.address, DEMO_APP_PORT));
    });
  }

  scenario("requests that fail: 1, and the numbers all the same", async () => {
    const config = mkdtempSync(join(tmpdir(), "bowline-it-"));
    cpSync(TUTORIAL, config, { recursive: true });
    writeFileSync(
      join(config, "fault.yaml"),
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: customer, namespace: tutorial }
spec:
  hosts: [customer]
  http:
  - fault: { abort: { httpStatus: 555, percentage: { value: 100 } } }
    route: [{ destination: { host: customer } }]
`,
    );
    const { code, stdout } = await demo("--config", config, "--requests", "5");
    rmSync(config, { recursive: true });
    expect(stdout).toContain("5 requests, 0 ok, 5 errors;");
    expect(code).toBe(1);
  });

  scenario("a configuration with a mistake: 65, and where it is", async () => {
    const config = mkdtempSync(join(tmpdir(), "bowline-it-"));
    writeFileSync(join(config, "a.yaml"), "apiVersion: v1\nkind: Servce\nmetadata: { name: a }\n");
    const { code, stdout, stderr } = await demo("--config", config, "--requests", "5");
    rmSync(config, { recursive: true });
    expect([code, stdout]).toEqual([65, ""]);
    expect(stderr).toContain("a.yaml:2:7: error ");
    expect(stderr).toContain('did you mean "Service"?');
    expect(stderr).not.toContain("    at ");
  });

  scenario("a configuration that is not there: 65", async () => {
    const { code, stderr } = await demo("--config", "/no/such/directory", "--requests", "5");
    expect(code).toBe(65);
    expect(stderr).toContain("/no/such/directory");
  });

  scenario("a header that is none, a number that is none: 64, before anything starts", async () => {
    for (
      const args of [["--header", "no colon"], ["--header", "a b: c"], ["--requests", "0"], [
        "--requests",
        "x",
      ]]
    ) {
      const { code, stderr } = await demo(...args);
      expect(code).toBe(64);
      expect(stderr).toStartWith("Error: ");
    }
  });
});

/** Rejects when the port is taken. */
async function listen(address: string, port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, address, resolve));
  return server;
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

/** Processes whose parent is this one. */
function childrenOf(parent: number): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => Number(/^PPid:\s+(\d+)$/m.exec(statusOf(pid))?.[1]) === parent);
}

function isBowline(pid: number): boolean {
  return /^Name:\s+bowline$/m.test(statusOf(pid));
}

/** Empty for a process that has ended. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
