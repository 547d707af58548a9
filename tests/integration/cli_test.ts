/** Bad input at the command line: one clear message, the right exit code, no stack trace, nothing lost. */
import { beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Bowline, bowline, type Ended, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const EXIT = { ok: 0, error: 1, usage: 64, badInput: 65, unavailable: 69 };

const mesh = new Mesh("127.0.8");

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("store", mesh.address(11)));
  await mesh.startControlPlane();
});

/** Runs a command that fails: no output, a message, no stack. */
async function failing(code: number, ...args: readonly string[]): Promise<string> {
  const ended = await bowline(args);
  expect(ended.code).toBe(code);
  expect(ended.stdout).toBe("");
  expect(ended.stderr).not.toMatch(/^\s+at |Internal error|\.ts:\d/m);
  return ended.stderr;
}

/** A directory of files with resources. */
function directory(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(mesh.directory, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

describe("usage: 64", () => {
  for (
    const [message, ...args] of [
      ["Unknown command 'nonsense'", "nonsense"],
      ["did you mean validate?", "validat"],
      ["Unknown option '--nope'", "version", "--nope"],
      ["Missing required argument 'path'", "validate"],
      ["Required option '--role <role>' not specified", "run"],
      ["Allowed choices are control-plane, sidecar", "run", "--role", "router"],
      ["A control plane needs --config DIR", "run", "--role", "control-plane"],
      ["--config is not for the role sidecar", "run", "--role", "sidecar", "--config", "x"],
      ['"Not A Domain" is not a trust domain', ...controlPlaneWith("--trust-domain", "Not A Domain")],
      ['"59s" is no life for a certificate', ...controlPlaneWith("--cert-ttl", "59s")],
      ['"2160h1s" is no life for a certificate', ...controlPlaneWith("--cert-ttl", "2160h1s")],
      ["--cert-ttl is not for the role sidecar", "run", "--role", "sidecar", "--cert-ttl", "1h"],
      ["Allowed choices are table, json, yaml", "version", "-o", "xml"],
      ["The workload must be NAMESPACE/NAME", "token", "create", "--workload", "store"],
      ["A join token lives 1s to 24h", "token", "create", "--workload", "shop/store", "--ttl", "48h"],
      ['"1x" is not a duration', "token", "create", "--workload", "shop/store", "--ttl", "1x"],
    ] as const
  ) {
    scenario(`bowline ${args.join(" ")}`, async () => {
      expect(await failing(EXIT.usage, ...args)).toContain(message);
    });
  }

  scenario("a wrong variable of the environment", async () => {
    const { code, stderr } = await bowline(["version"], { env: { BOWLINE_OUTPUT: "xml" } });
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("BOWLINE_OUTPUT");
  });
});

function controlPlaneWith(...args: readonly string[]): readonly string[] {
  return ["run", "--role", "control-plane", "--config", "x", ...args];
}

describe("version", () => {
  scenario("for people, as JSON, by the environment", async () => {
    expect((await bowline(["version"])).stdout).toMatch(/^bowline \d+\.\d+\.\d+ \(.+\)\n$/);
    const { code, stdout, stderr } = await bowline(["version", "-o", "json"]);
    expect([code, stderr]).toEqual([EXIT.ok, ""]);
    expect(JSON.parse(stdout)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      commit: expect.any(String),
      bun: expect.any(String),
    });
    const fromEnvironment = await bowline(["version"], { env: { BOWLINE_OUTPUT: "json" } });
    expect(fromEnvironment.stdout).toBe(stdout);
  });
});

describe("validate", () => {
  scenario("files that are good: 0", async () => {
    const path = directory("good", {
      "a.yaml": service("a"),
      "b.yml": `${service("b")}---\n${subsets("b")}`,
    });
    const { code, stdout, stderr } = await bowline(["validate", path]);
    expect([code, stdout, stderr]).toEqual([EXIT.ok, "ok: 3 resources in 2 files\n", ""]);
  });

  for (
    const [name, text, message] of [
      ["not YAML", "a: [1\nb: }{\n", "a.yaml:2:1: error BOW0001"],
      ["an unknown kind", "apiVersion: v1\nkind: Servce\nmetadata: { name: a }\n", 'did you mean "Service"?'],
      ["a wrong type", service("a").replace("8080", "eighty"), "expected a number, found the string"],
      ["a misspelt field", service("a").replace("selector", "selektor"), 'did you mean "selector"?'],
      ["one name twice", `${service("a")}---\n${service("a")}`, "Service shop/a is already defined at"],
      ["no name", service("a").replace("name: a,", ""), "metadata.name"],
    ] as const
  ) {
    scenario(`${name}: 65, with file, line and column`, async () => {
      const path = directory(`validate ${name}`, { "a.yaml": text });
      const stderr = await failing(EXIT.badInput, "validate", path);
      expect(stderr).toMatch(/a\.yaml:\d+:\d+: error (BOW|IST)\d{4}\b/);
      expect(stderr).toContain(message);
      expect(stderr).toContain("not valid: 1 error, 1 file read\n");
    });
  }

  scenario("one name twice, in two files", async () => {
    const path = directory("twice", { "a.yaml": service("a"), "b.yaml": service("a") });
    const stderr = await failing(EXIT.badInput, "validate", path);
    expect(stderr).toContain("b.yaml:3:");
    expect(stderr).toContain("a.yaml:1:1");
  });

  scenario("hosts and subsets that do not exist: warnings, and 0", async () => {
    const route = virtualService(
      "a",
      "- route: [{ destination: { host: nobody } }]\n- route: [{ destination: { host: a, subset: v9 } }]\n",
    );
    const path = directory("references", { "a.yaml": `${service("a")}---\n${route}` });
    const { code, stdout, stderr } = await bowline(["validate", path]);
    expect([code, stdout]).toEqual([EXIT.ok, "ok: 2 resources in 1 file\n"]);
    expect(stderr.match(/: warning IST0101 /g)).toHaveLength(2);
    expect(stderr).toContain("requests routed there are answered 503");
  });

  scenario("a path that is not there: 65", async () => {
    expect(await failing(EXIT.badInput, "validate", "/no/such/path")).toContain("no such file or directory");
  });

  scenario("-o json: the findings as data, and still 65", async () => {
    const path = directory("json", { "a.yaml": service("a").replace("8080", "eighty") });
    const { code, stdout } = await bowline(["validate", "-o", "json", path]);
    expect(code).toBe(EXIT.badInput);
    expect(JSON.parse(stdout)).toMatchObject({ valid: false, findings: [{ severity: "error", line: 7 }] });
  });
});

/** A control plane beside the one that runs. */
function secondControlPlane(data: string, ...args: readonly string[]): readonly string[] {
  const bind = ["--bind", mesh.address(19)];
  return ["run", "--role", "control-plane", "--config", mesh.config, "--data", data, ...bind, ...args];
}

async function occupied<Result>(address: string, port: number, body: () => Promise<Result>): Promise<Result> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  try {
    return await body();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("a control plane that cannot start", () => {
  const data = join(mesh.directory, "second");

  scenario("a configuration with a mistake and none before it: 65, and the finding", async () => {
    const config = directory("bad", { "a.yaml": service("a").replace("8080", "eighty") });
    const stderr = await failing(EXIT.badInput, ...secondControlPlane(`${data}-bad`, "--config", config));
    expect(stderr).toContain("a.yaml:7:");
    expect(stderr).toContain("Error: The configuration in ");
  });

  scenario("a file of platforms or a CA that is not there: 65, as a restart changes nothing", async () => {
    const platforms = await failing(
      EXIT.badInput,
      ...secondControlPlane(data, "--enrolment", "/no/such/file"),
    );
    expect(platforms).toContain("Cannot read the enrolment file");
    expect(platforms).toContain("Error: The platforms in /no/such/file cannot be used");
    expect(await failing(EXIT.badInput, ...secondControlPlane(data, "--ca", "/no/such/ca"))).toContain(
      "Error: The certificate authority in /no/such/ca cannot be used: it is not there",
    );
  });

  for (const port of [15012, 15014]) {
    scenario(`port ${port} is taken: 69`, async () => {
      const stderr = await occupied(
        mesh.address(19),
        port,
        () => failing(EXIT.unavailable, ...secondControlPlane(data)),
      );
      expect(stderr).toContain(
        `Error: Cannot listen on ${mesh.address(19)}:${port}: another process already does`,
      );
    });
  }

  scenario("an address that this machine does not have: 69", async () => {
    const stderr = await failing(EXIT.unavailable, ...secondControlPlane(data, "--bind", "192.0.2.1"));
    expect(stderr).toContain("this machine does not have that address");
  });

  scenario("a data directory that cannot be made, or that others may write to: 1", async () => {
    const file = mesh.file("file", "");
    expect(await failing(EXIT.error, ...secondControlPlane(join(file, "data")))).toContain(
      "is not a directory",
    );
    expect(await failing(EXIT.error, ...secondControlPlane("/sys/bowline"))).toContain("/sys/bowline: ");
    const open = directory("open", {});
    chmodSync(open, 0o777);
    expect(await failing(EXIT.error, ...secondControlPlane(open))).toContain("other users may write to it");
  });

  scenario("the data directory of one that runs: 69, and that one goes on", async () => {
    const books = () => readFileSync(join(mesh.controlPlaneData, "ca", "issued.jsonl"), "utf8");
    const before = books();
    const stderr = await failing(EXIT.unavailable, ...secondControlPlane(mesh.controlPlaneData));
    expect(stderr).toContain("admin.sock");
    expect(books()).toBe(before);
    expect(mesh.controlPlane.isAlive).toBe(true);
    expect((await mesh.token({ workload: "shop/store" })).split(".")).toHaveLength(3);
  });
});

scenario(
  "of control planes that start at once after a SIGKILL one runs, the others end with 69",
  async () => {
    const data = join(mesh.directory, "raced");
    const start = (at: number) =>
      new Bowline(`control plane at ${at}`, secondControlPlane(data, "--bind", mesh.address(at)));
    const killed = start(20);
    await killed.says("The control plane is ready");
    await killed.end("SIGKILL");
    const all = [21, 22, 23, 24].map(start);
    const others = () => all.filter(({ isAlive }) => !isAlive);
    await until("all but one have ended", () => others().length === all.length - 1);
    for (const { child, stderr } of others()) {
      expect(child.exitCode).toBe(EXIT.unavailable);
      expect(stderr).toMatch(/^Error: Cannot listen on .*admin\.sock: another process already does$/m);
    }
    const winner = all.find(({ isAlive }) => isAlive);
    await winner?.says("The control plane is ready");
    const { code } = await bowline(["certs", "--data", data]);
    expect([code, await winner?.end()]).toEqual([EXIT.ok, 0]);
  },
);

describe("a sidecar that cannot start", () => {
  const at = 11;
  let tokenFile: string;

  const start = async (data: string, bind = mesh.address(at)): Promise<Ended> => {
    const where = ["--data", mesh.dataOf(data), "--bind", bind, "--token-file", tokenFile];
    return await bowline(["run", "--role", "sidecar", ...where]);
  };

  for (const port of [15000, 15001, 15008, 15021, 15090]) {
    scenario(`port ${port} is taken: 69`, async () => {
      tokenFile ??= await mesh.tokenFile({ workload: "shop/store" });
      const { code, stderr } = await occupied(mesh.address(at), port, () => start("shop/store"));
      expect(code).toBe(EXIT.unavailable);
      expect(stderr).toStartWith(
        `Error: Cannot listen on ${mesh.address(at)}:${port}: another process already does\n`,
      );
      expect(stderr.match(/Error/g)).toHaveLength(1);
    });
  }

  scenario("nothing is lost by that: the token is still good", async () => {
    const sidecar = await mesh.startSidecar("shop/store", { at, tokenFile });
    expect(sidecar.isAlive).toBe(true);
  });

  scenario("the data directory of one that runs: 69, and that one goes on", async () => {
    const { code, stderr } = await start("shop/store", mesh.address(12));
    expect(code).toBe(EXIT.unavailable);
    expect(stderr).toContain("admin.sock");
    expect(await mesh.isReady(at)).toBe(true);
  });
});

describe("commands that ask a control plane", () => {
  for (const command of [["graph"], ["proxy-status"], ["token", "create", "--workload", "shop/store"]]) {
    scenario(`bowline ${command.join(" ")}: nobody there: 69`, async () => {
      const stderr = await failing(EXIT.unavailable, ...command, "--data", join(mesh.directory, "nowhere"));
      expect(stderr).toContain("is the control plane running with --data ");
    });
  }

  scenario("a token as JSON says what it is for", async () => {
    const args = [
      "token",
      "create",
      "--workload",
      "shop/store",
      "--data",
      mesh.controlPlaneData,
      "-o",
      "json",
    ];
    const { code, stdout } = await bowline(args);
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(stdout)).toMatchObject({
      workload: "shop/store",
      spiffeId: "spiffe://cluster.local/ns/shop/sa/store",
      controlPlane: `${mesh.address(9)}:15012`,
    });
  });
});
