/**
 * The doors of a control plane and its sidecars, and who is not to come in: other users of the machine, workloads that
 * ask for what is another's, texts that try to speak to a terminal or a log, and whoever sends rubbish.
 */
import { beforeAll, describe, expect } from "bun:test";
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { ENROL_BYTES_MAX } from "../../src/control/doors/certificate_api.ts";
import { createCsr } from "../../src/identity/csr.ts";
import { generateKeyPair } from "../../src/identity/key_pair.ts";
import type { TokensReply } from "../../src/model/admin.ts";
import { startEcho } from "./apps.ts";
import { BOWLINE, type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl, runCurl, viaSidecar } from "./clients.ts";
import { askDoor } from "./door_client.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const DEPTH = 100_000;
const MEGABYTES_10 = 10 * 1024 * 1024;
const ESCAPES =
  '\u001b[31m\u001b]0;owned\u0007\r\n{"level":"info","message":"forged"}<script>alert(1)</script>"\'';

const mesh = new Mesh("127.0.47");
const DOOR = mesh.address(9);
const [CLIENT, STORE] = [10, 11];
let controlPlane: Bowline;
let client: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  if (process.getuid?.() !== 0) {
    throw new Error("That others are shut out is tested as another user, which only root can become");
  }
  // Whoever may look into the directory still may not look into what is in it.
  chmodSync(mesh.directory, 0o755);
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
  );
  await startEcho("store", mesh.address(STORE));
  controlPlane = await mesh.startControlPlane();
  await mesh.startSidecar("shop/store", { at: STORE });
  client = await mesh.startSidecar("shop/client", { at: CLIENT });
  await mesh.untilSynced(2);
});

/** All of the mesh goes on, in the processes that it began with. */
async function isUnharmed(): Promise<void> {
  expect([controlPlane.isAlive, client.isAlive]).toEqual([true, true]);
  expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(200);
  expect((await fetch(`http://${DOOR}:15014/readyz`)).status).toBe(200);
  await mesh.untilSynced(2);
}

/** Runs a command as `nobody`. */
async function asNobody(...command: readonly string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...command], {
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
  });
  const said = await new Response(child.stdout).text() + await new Response(child.stderr).text();
  return { code: await child.exited, said };
}

describe("another user of the machine", () => {
  scenario("reads no file and gets nothing from the admin sockets", async () => {
    for (const data of [mesh.controlPlaneData, mesh.dataOf("shop/store")]) {
      const socket = join(data, "admin.sock");
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      const files = data === mesh.controlPlaneData
        ? ["ca/authority.pem", "ca/token.secret", "ca/issued.jsonl", "ca/audit.jsonl"]
        : ["identity.json", "snapshot.json"];
      for (const file of files) {
        const { code, said } = await asNobody("cat", join(data, file));
        expect([code, said]).toEqual([1, expect.stringContaining("Permission denied")]);
      }
      const { code } = await asNobody("curl", "-s", "--unix-socket", socket, "http://x/config_dump");
      expect(code).toBe(7);
    }
    const args = ["token", "create", "--workload", "shop/store", "--data", mesh.controlPlaneData];
    const { code, said } = await asNobody(BOWLINE, ...args);
    expect([code, said]).toEqual([1, expect.stringContaining("Permission denied for ")]);
  });

  scenario("not even when only the socket's own mode stands in the way", async () => {
    const socket = join(mesh.controlPlaneData, "admin.sock");
    chmodSync(mesh.controlPlaneData, 0o711);
    try {
      expect((await asNobody("curl", "-s", "--unix-socket", socket, "http://x/v1/tokens")).code).toBe(7);
    } finally {
      chmodSync(mesh.controlPlaneData, 0o700);
    }
  });

  scenario("changes nothing over TCP: what does, takes a certificate or a token", async () => {
    const paths = [
      "/v1/tokens",
      "/v1/tokens/revoke",
      "/v1/revocations",
      "/v1/certificates",
      "/quitquitquit",
      "/drain",
    ];
    const bodies = JSON.stringify({
      workload: "shop/store",
      id: "x",
      target: "spiffe://cluster.local/ns/shop/sa/store",
    });
    const tokens = async () => {
      const { stdout } = await bowline(["token", "list", "-o", "json", "--data", mesh.controlPlaneData]);
      return (JSON.parse(stdout) as TokensReply).tokens.length;
    };
    const before = await tokens();
    const doors = [`${DOOR}:15014`, ...[15000, 15021, 15090].map((port) => `${mesh.address(STORE)}:${port}`)];
    for (const door of doors) {
      for (const path of paths) {
        for (const method of ["POST", "PUT", "DELETE"]) {
          const { status } = await curl("-X", method, "-d", bodies, `http://${door}${path}`);
          expect([door, path, method, status]).toEqual([door, path, method, 404]);
        }
      }
    }
    for (const path of [...paths, "/v1/renew", "/v1/report", "/v1/discovery"]) {
      expect([401, 404]).toContain((await askDoor(DOOR, path, bodies)).status);
    }
    expect(await tokens()).toBe(before);
    await isUnharmed();
  });
});

describe("a workload with a certificate of its own", () => {
  scenario("gets no other workload's configuration, certificate or place in the graph", async () => {
    const identity = mesh.identityOf("shop/client");
    const hello = {
      ...{ type: "hello", protocol: 1, version: "1", role: "sidecar", workload: "shop/store" },
      ...{ address: mesh.address(CLIENT), meshPort: 15008, known: {} },
    };
    const answer = await askDoor(DOOR, "/v1/discovery", `${JSON.stringify(hello)}\n`, { identity });
    expect(answer.text).not.toContain('"push"');
    expect(answer.text).not.toContain(mesh.address(STORE));
    await controlPlane.says("Workload shop/store must be spiffe://cluster.local/ns/shop/sa/store");
    const csr = await createCsr(await generateKeyPair());
    const renewed = await askDoor(DOOR, "/v1/renew?workload=shop%2Fstore", { csr }, { identity });
    expect([renewed.status, renewed.body?.error?.code]).toEqual([403, "renewal_refused"]);
    await isUnharmed();
  });

  scenario("is told in one line of the log and of a terminal, whatever it writes", async () => {
    const identity = mesh.identityOf("shop/client");
    const hello = {
      ...{ type: "hello", protocol: 1, version: ESCAPES, role: "sidecar", workload: ESCAPES },
      ...{ address: ESCAPES, meshPort: 15008, known: {} },
    };
    await askDoor(DOOR, "/v1/discovery", `${JSON.stringify(hello)}\n`, { identity });
    await askDoor(DOOR, `/v1/renew?workload=${encodeURIComponent(ESCAPES)}`, { csr: ESCAPES }, { identity });
    await askDoor(DOOR, "/v1/enrol", { token: ESCAPES, csr: ESCAPES });
    await askDoor(DOOR, "/v1/rejoin", { serial: ESCAPES.slice(0, 40), csr: ESCAPES });
    await curl(
      "-H",
      `User-Agent: ${ESCAPES.replaceAll(/[\r\n]/g, "")}`,
      `http://${DOOR}:15014/${encodeURIComponent(ESCAPES)}`,
    );
    const logs = [
      controlPlane.stderr,
      client.stderr,
      readFileSync(join(mesh.controlPlaneData, "ca/audit.jsonl"), "utf8"),
    ];
    for (const line of logs.join("").trimEnd().split("\n")) {
      expect((JSON.parse(line) as { message?: string }).message).not.toBe("forged");
      expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
    }
    for (const path of ["/api/proxies", "/api/config", "/api/graph", `/${encodeURIComponent("<script>")}`]) {
      const { headers, body } = await curl(`http://${DOOR}:15014${path}`);
      expect(headers["content-type"]?.[0]).toStartWith("application/json");
      expect(body).not.toContain("\u001b");
    }
    const { stdout } = await bowline(["proxy-status", "--data", mesh.controlPlaneData]);
    expect(stdout).not.toContain("\u001b");
    await isUnharmed();
  });
});

describe("rubbish", () => {
  scenario("bytes that are no TLS, or half a handshake, on 15012", async () => {
    for (
      const bytes of [
        "GET / HTTP/1.1\r\n\r\n",
        "\u0000".repeat(1000),
        "\u0016\u0003\u0001\u0002\u0000",
        "x".repeat(100_000),
      ]
    ) {
      await new Promise<void>((resolve) => {
        const socket = connect(15012, DOOR, () => socket.end(bytes));
        socket.on("error", () => resolve()).on("close", () => resolve()).resume();
      });
    }
    await isUnharmed();
  });

  scenario("JSON that is 100,000 deep, no JSON, and 10 MB, before authentication and after it", async () => {
    const deep = "[".repeat(DEPTH) + "]".repeat(DEPTH);
    const fits = "[".repeat(ENROL_BYTES_MAX / 4) + "]".repeat(ENROL_BYTES_MAX / 4);
    const bodies: readonly [string, number[]][] = [
      [fits, [400]],
      [`{"csr":${fits}}`, [400]],
      [deep, [413]],
      ["{", [400]],
      ["\u0000", [400]],
      ["null", [400]],
      ["7", [400]],
      ["x".repeat(MEGABYTES_10), [413]],
    ];
    for (const path of ["/v1/enrol", "/v1/rejoin"]) {
      for (const [body, statuses] of bodies) {
        expect(statuses).toContain((await askDoor(DOOR, path, body)).status);
      }
    }
    const identity = mesh.identityOf("shop/client");
    for (const body of [deep, "{", `{"edges":${deep}}`]) {
      expect([400, 413]).toContain((await askDoor(DOOR, "/v1/report", body, { identity })).status);
      await askDoor(DOOR, "/v1/discovery", `${body}\n`, { identity });
    }
    await isUnharmed();
  });

  scenario("the same on 15014 and on the admin socket", async () => {
    const big = mesh.file("big.json", "x".repeat(MEGABYTES_10));
    const deep = mesh.file("deep.json", "[".repeat(DEPTH) + "]".repeat(DEPTH));
    const socket = join(mesh.controlPlaneData, "admin.sock");
    for (const file of [big, deep]) {
      const data = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", `@${file}`];
      for (const path of ["/api/config", "/metrics"]) {
        const { stdout } = await runCurl([...data, `http://${DOOR}:15014${path}`]);
        expect(stdout).toMatch(/^4\d\d$/);
      }
      for (const path of ["/v1/tokens", "/v1/revocations", "/v1/tokens/revoke"]) {
        const { stdout } = await runCurl([...data, "--unix-socket", socket, `http://x${path}`]);
        expect(stdout).toMatch(/^4\d\d$/);
      }
    }
    await isUnharmed();
  });

  scenario(
    "YAML that is 100,000 deep, has a billion aliases, or is 10 MB, in the configuration",
    async () => {
      const laughs = Array.from(
        { length: 10 },
        (_, i) => `l${i}: &l${i} [${`*l${i - 1},`.repeat(i === 0 ? 0 : 9)} x]`,
      );
      const files = {
        "deep_flow.yaml": "[".repeat(DEPTH),
        "deep_map.yaml": `${"{a: ".repeat(DEPTH)}`,
        "deep_block.yaml": "- ".repeat(DEPTH),
        "laughs.yaml": `${laughs.join("\n")}\n`,
        "long.yaml": "x".repeat(MEGABYTES_10),
      };
      for (const [name, text] of Object.entries(files)) {
        mesh.write(name, text);
        await until(`${name} is refused`, () => controlPlane.stderr.includes(`${name}`));
        rmSync(join(mesh.config, name));
        await until(
          "it is gone",
          async () => (await mesh.api<{ rejected: unknown }>("/api/config")).rejected === null,
        );
      }
      await isUnharmed();
    },
  );
});
