import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bowline } from "./bowline.ts";

const SAFARI = join(import.meta.dir, "../../../config/tutorial/user-agent");

let root = "";

beforeEach(() => root = mkdtempSync(join(tmpdir(), "bowline-config-commands-")));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, text: string): string {
  const path = join(root, file);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const REFERENCE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nowhere, namespace: shop}
spec: {host: nowhere}
`;

/** A gateway with rules by the claims of a token. */
const BY_CLAIMS = `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: in, namespace: edge}
spec: {address: 10.0.0.1, labels: {istio: edge}, serviceAccount: in}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: edge}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.test]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: edge}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: edge}
spec:
  hosts: [shop.test]
  gateways: [main]
  http:
  - match: [{headers: {"@request.auth.claims.group": {exact: staff}}}]
    route: [{destination: {host: web}}]
  - route: [{destination: {host: web}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: edge, namespace: edge}
spec:
  selector: {matchLabels: {istio: edge}}
  jwtRules: [{issuer: issuer, jwksUri: "https://issuer.test/keys"}]
`;

describe("bowline analyze", () => {
  test("analyze says so when there is nothing to say, and ends with 0", async () => {
    const { exitCode, stdout, stderr } = await bowline(["analyze", "config/tutorial/split-90-10"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toBe("No issues found in config/tutorial/split-90-10: 10 resources in 3 files\n");
    const example = "config/examples/egress-gateway";
    expect((await bowline(["analyze", example])).stderr).toEndWith(": 6 resources in 1 file\n");
  });

  test("analyze names resource, file and line as Istio's tool does, and ends with 79", async () => {
    const file = write("mesh/a.yaml", REFERENCE);
    const { exitCode, stdout } = await bowline(["analyze", join(root, "mesh")]);
    expect(exitCode).toBe(79);
    expect(stdout).toStartWith(`Warning [IST0174] (DestinationRule nowhere.shop ${file}:4) spec.host: `);
  });

  test("analyze ends with 0 below the threshold, and without what is suppressed", async () => {
    write("mesh/a.yaml", REFERENCE);
    const run = (...flags: string[]) => bowline(["analyze", join(root, "mesh"), ...flags]);
    expect((await run("--failure-threshold", "error")).exitCode).toBe(0);
    expect((await run("--suppress", "IST0174")).exitCode).toBe(0);
    expect((await run("--suppress", "IST0174=DestinationRule *.shop")).exitCode).toBe(0);
    expect((await run("--suppress", "IST0174=DestinationRule *.other")).exitCode).toBe(79);
    const said = { BOWLINE_SUPPRESS: "IST0118,IST0174" };
    expect((await bowline(["analyze", join(root, "mesh")], said)).exitCode).toBe(0);
    const { exitCode, stderr } = await run("--suppress", "nothing");
    expect(exitCode).toBe(64);
    expect(stderr).toContain('"nothing" suppresses nothing');
  });

  test("analyze takes a resource that does not load for an issue, and says what it leaves out", async () => {
    write("mesh/a.yaml", "kind: Servce\n");
    const { exitCode, stdout, stderr } = await bowline(["analyze", join(root, "mesh")]);
    expect(exitCode).toBe(79);
    expect(stdout).toStartWith("Error [BOW0006] (");
    expect(stderr).toContain("Mistakes across resources are looked for once every resource is valid");
  });

  test("analyze -o json has the findings with their positions", async () => {
    write("mesh/a.yaml", REFERENCE);
    const { stdout } = await bowline(["analyze", join(root, "mesh"), "-o", "json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      files: 1,
      resources: 1,
      suppressed: 0,
      findings: [{ code: "IST0174", severity: "warning", line: 4 }],
    });
  });

  test("analyze of a directory that is not there ends with 65", async () => {
    expect((await bowline(["analyze", join(root, "none")])).exitCode).toBe(65);
  });
});

describe("bowline diff", () => {
  test("diff prints JSON with what changes for each workload", async () => {
    const { exitCode, stdout } = await bowline([
      "diff",
      "config/tutorial/split-90-10",
      "config/tutorial/user-agent",
      "-o",
      "json",
    ]);
    expect(exitCode).toBe(0);
    const { workloads, workloadCount } = JSON.parse(stdout);
    expect([workloads.length, workloadCount]).toEqual([5, 5]);
    expect(workloads[0]).toMatchObject({ workload: "tutorial/customer", change: "changed", policies: [] });
  });

  test("diff of what does not load ends with 65 and says why", async () => {
    write("mesh/a.yaml", "kind: Servce\n");
    const { exitCode, stderr } = await bowline(["diff", "config/tutorial/split-90-10", join(root, "mesh")]);
    expect(exitCode).toBe(65);
    expect(stderr).toContain("only configurations that load can be compared");
  });
});

describe("bowline test", () => {
  const safari = (subset: string) =>
    `config: ${SAFARI}
tests:
  - name: Safari has its own version
    from: tutorial/preference
    request: GET http://recommendation:8080/
    headers: { baggage-user-agent: Mozilla Safari }
    expect: { action: forward, destinations: [{ subset: ${subset}, weight: 100 }] }
`;

  test("test ends with 0 when every answer is as expected", async () => {
    const { exitCode, stdout } = await bowline(["test", write("t.yaml", safari("version-v1"))]);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: "ok    Safari has its own version\n1 passed, 0 failed\n",
    });
  });

  test("test names the field that differs and where it is expected, and ends with 1", async () => {
    const file = write("t.yaml", safari("version-v2"));
    const { exitCode, stdout } = await bowline(["test", file]);
    expect(exitCode).toBe(1);
    expect(stdout).toBe(
      `FAIL  Safari has its own version (${file}:3)\n` +
        '      destinations[0].subset: expected "version-v2", and it is "version-v1"\n' +
        "0 passed, 1 failed\n",
    );
  });

  test("test asks for what becomes of a request with a token that holds some claims", async () => {
    write("mesh/mesh.yaml", BY_CLAIMS);
    const file = write(
      "t.yaml",
      `config: mesh
tests:
- name: staff
  from: edge/in
  request: http://shop.test/
  claims: { iss: issuer, sub: ann, group: staff }
  expect: { route: { rule: 0 } }
- name: others
  from: edge/in
  request: http://shop.test/
  expect: { route: { rule: 1 } }
- name: no claim of the issuer's
  from: edge/in
  request: http://shop.test/
  claims: { iss: other, sub: ann, group: staff }
  expect: { route: { rule: 0 } }
`,
    );
    const { exitCode, stdout } = await bowline(["test", file]);
    expect(stdout).toStartWith("ok    staff\nok    others\nFAIL  no claim of the issuer's");
    expect(exitCode).toBe(1);
  });

  test("test reads the configuration beside the file, or the one of --config", async () => {
    write("mesh/a.yaml", "");
    const file = write("t.yaml", safari("version-v1").replace(SAFARI, "mesh"));
    const missing = await bowline(["test", file]);
    expect(missing.exitCode).toBe(1);
    expect(missing.stdout).toContain("No WorkloadEntry in ");
    expect((await bowline(["test", file, "--config", SAFARI])).exitCode).toBe(0);
  });

  test("test refuses a file that expects what no answer has, with line and column", async () => {
    const file = write("t.yaml", safari("version-v1").replace("action:", "acton:"));
    const { exitCode, stderr } = await bowline(["test", file]);
    expect(exitCode).toBe(65);
    expect(stderr).toContain(`${file}:7:15: error BOW0003 tests[0].expect.acton: unknown field "acton"`);
    expect(stderr).toContain('did you mean "action"?');
  });

  test("test without a configuration ends with 64", async () => {
    const file = write("t.yaml", safari("version-v1").replace(/^config.*\n/, ""));
    expect((await bowline(["test", file])).exitCode).toBe(64);
  });
});
