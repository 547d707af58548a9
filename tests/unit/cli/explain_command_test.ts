import { describe, expect, test } from "bun:test";
import { withAdminServer } from "./admin_server.ts";
import { bowline } from "./bowline.ts";

describe("runExplain()", () => {
  const ask = (...args: string[]) => bowline(["explain", "--config", "config/tutorial/split-90-10", ...args]);

  test("prints the JSON on standard output and notes on standard error", async () => {
    const { exitCode, stdout, stderr } = await ask(
      ...["--from", "tutorial/customer", "GET", "http://recomendation/", "-H", "a: b", "-o", "json"],
    );
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ from: "tutorial/customer", action: "passthrough" });
    expect(stderr).toBe('Note: Did you mean "recommendation"?\n');
  });

  test("gives files relative to the directory", async () => {
    const { stdout, stderr } = await ask(
      "--from",
      "tutorial/preference",
      "recommendation:8080",
      "-o",
      "json",
    );
    expect(JSON.parse(stdout).route).toMatchObject({ file: "recommendation.yaml", line: 30 });
    expect(stderr).toBe("");
  });

  test("refuses a workload that is in no file with 65, and says which was probably meant", async () => {
    expect(await ask("--from", "tutorial/custmer", "http://preference/")).toEqual({
      exitCode: 65,
      stdout: "",
      stderr:
        "Error: No WorkloadEntry in config/tutorial/split-90-10 is tutorial/custmer\n  did you mean tutorial/customer?\n",
    });
  });

  test("names the workloads of the files where none is near, and who knows others", async () => {
    const { stderr } = await ask("--from", "shop/web", "http://preference/");
    expect(stderr).toMatch(
      /\n {2}there are tutorial\/customer, .*; bowline explain --live knows all that joined\n$/,
    );
  });

  describe("with --live", () => {
    const workloads = ["shop/caller", "tutorial/preference"].map((key) => {
      const [namespace, name] = key.split("/") as [string, string];
      const own = { address: "10.0.0.7", labels: { app: name }, serviceAccount: name, ports: {}, weight: 1 };
      return { namespace, name, ...own, hasSidecar: true, meshPort: 15008 };
    });
    const live = (...args: string[]) =>
      withAdminServer(
        ({ url }) => Response.json(url.endsWith("/v1/workloads") ? { trustDomain: "x.test", workloads } : {}),
        (data) => ask("--live", "--data", data, ...args),
      );

    test("asks about the workloads that there are", async () => {
      const { exitCode, stdout, stderr } = await live(
        ...["--from", "shop/caller", "http://preference.tutorial:8080/", "-o", "json"],
      );
      expect([exitCode, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout).destinations[0].endpoints).toEqual([
        { address: "10.0.0.7:8080", workload: "tutorial/preference", mtls: true },
      ]);
    });

    test("does not send on to itself where there is nobody", async () => {
      const { stdout } = await live("--from", "shop/caller", "http://recommendation.tutorial:8080/");
      expect(stdout).toContain("no workload has the labels of the subset");
      expect(stdout).not.toContain("--live");
    });

    test("refuses a caller that there is not", async () => {
      expect(await live("--from", "shop/callr", "http://preference.tutorial/")).toEqual({
        exitCode: 65,
        stdout: "",
        stderr: "Error: No workload of the mesh is shop/callr\n  did you mean shop/caller?\n",
      });
    });

    test("is unavailable without a control plane", async () => {
      const args = ["--live", "--from", "shop/caller", "http://preference/"];
      expect(await withAdminServer(null, (data) => ask(...args, "--data", data)))
        .toMatchObject({ exitCode: 69, stdout: "" });
    });
  });

  test("refuses a request that is none with 64", async () => {
    expect(await ask("--from", "tutorial/customer", "http://preference/", "-H", "x-user")).toEqual({
      exitCode: 64,
      stdout: "",
      stderr: "Error: \"x-user\" is not a header; write it 'NAME: VALUE'\n  for instance -H 'x-user: ann'\n",
    });
    expect((await ask("--from", "customer", "http://preference/")).exitCode).toBe(64);
    const client = (address: string) =>
      ask("--from", "tutorial/customer", "http://preference/", "--client", address);
    expect(await client("far")).toMatchObject({ exitCode: 64, stdout: "" });
    expect((await client("10.0.0.1")).stderr).toStartWith(
      "Error: tutorial/customer is no gateway: its own program calls, from its own address\n",
    );
  });

  test("tells of a configuration that does not load, by file and line as the user would write it", async () => {
    const args = ["--from", "tutorial/customer", "http://preference/"];
    const broken = await bowline(["explain", "--config", "tests/unit/cli/broken_config", ...args]);
    expect(broken).toEqual({
      exitCode: 65,
      stdout: "",
      stderr: "tests/unit/cli/broken_config/service.yaml:4:1: error BOW0003 Service shop/web: spce: " +
        'unknown field "spce"; did you mean "spec"?\n' +
        "Error: The configuration in tests/unit/cli/broken_config is not valid\n" +
        "  nothing can be explained until it loads as a whole\n",
    });
    const missing = await bowline(["explain", "--config", "tests/unit/cli/nowhere", ...args]);
    expect(missing.exitCode).toBe(65);
    expect(missing.stderr).toContain("there is no such file or directory");
  });
});
