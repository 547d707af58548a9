/**
 * PeerAuthentication where connections are captured: who gets through in which mode, to which port, by whose word, and what
 * becomes of connections that are open when the mode changes.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { beforeAll, describe, expect } from "bun:test";
import { type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority } from "./certificates.ts";
import { MachineMesh, PROGRAMS, STORE_IP, storeService, talk } from "./machine_mesh.ts";
import { GREETING, type LoadOutcome, PORT } from "./machine_programs.ts";
import { type Issuer, newIssuer } from "./key_server.ts";
import { capture, type Machine, startMachines } from "./machines.ts";
import { Mesh } from "./mesh.ts";
import { workload } from "./resources.ts";

const mesh = new Mesh("127.0.90");
const stranger = new OutsideAuthority(mesh.directory, "stranger");
let outside: Machine;
let front: Machine;
let store: Machine;
let machines: MachineMesh;
let storeSidecar: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  [outside, front, store] = startMachines("out", "front", "store") as [Machine, Machine, Machine];
  machines = new MachineMesh(mesh);
  mesh.write("mesh.yaml", storeService(), workload("front", front.address), workload("store", store.address));
  await machines.startControlPlane(outside);
  // Before there are connections: those that the kernel does not track yet would look new to the rules.
  for (const machine of [front, store]) capture(machine);
  await machines.startSidecar("front", front);
  storeSidecar = await machines.startSidecar("store", store, "--limit", "drain-time=1s");
  await machines.serve("store", store);
  const identity = mesh.identityOf("shop/front");
  const forged = stranger.issue("URI:spiffe://cluster.local/ns/shop/sa/front");
  for (const [name, pair] of [["front", identity], ["forged", forged]] as const) {
    mesh.file(`${name}.crt`, pair.chain);
    mesh.file(`${name}.key`, pair.key);
  }
}, 60_000);

function peers(name: string, namespace: string, spec: string): string {
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
}

const OF_STORE = "selector: { matchLabels: { app: store } }";
const ofMesh = (mode: string) => peers("m", "istio-system", `{ mtls: { mode: ${mode} } }`);
const ofNamespace = (mode: string) => peers("n", "shop", `{ mtls: { mode: ${mode} } }`);
const ofWorkload = (spec: string) => peers("w", "shop", `{ ${OF_STORE}, ${spec} }`);
const ofPorts = (ports: string, mode = "UNSET") =>
  ofWorkload(`mtls: { mode: ${mode} }, portLevelMtls: { ${ports} }`);

/** Whether a request got an answer of the store. */
async function answers(...args: readonly string[]): Promise<boolean> {
  const { code, stdout } = await outside.run(["curl", "-sk", "--max-time", "10", ...args]);
  return code === 0 && stdout.includes('"name":"store"');
}

/** Whether bytes got an answer of the store; each of its servers greets. */
async function echoes(port: number): Promise<boolean> {
  return (await talk(outside, store.address, port, "hello", false)).stdout.startsWith(GREETING);
}

const shown = (name: string) => [
  ...["--cert", join(mesh.directory, `${name}.crt`), "--key", join(mesh.directory, `${name}.key`)],
];

/** By what is tried from a machine outside. */
const WAYS: Readonly<Record<string, () => Promise<boolean>>> = {
  "HTTP/1.1": () => answers("--http1.1", `http://${store.address}:${PORT.http}/`),
  "HTTP/2": () => answers("--http2-prior-knowledge", `http://${store.address}:${PORT.http}/`),
  "bytes": () => echoes(PORT.database),
  "bytes, nothing declared": () => echoes(PORT.chatty),
  "bytes, no service": () => echoes(PORT.undeclared),
  "TLS of the mesh, HTTP/1.1": () =>
    answers("--http1.1", ...shown("front"), `https://${store.address}:${PORT.http}/`),
  "TLS of the mesh, HTTP/2": () =>
    answers("--http2", ...shown("front"), `https://${store.address}:${PORT.http}/`),
  "TLS of the mesh, 15008": () =>
    answers(...shown("front"), "-H", `x-bowline-port: ${PORT.http}`, `https://${store.address}:15008/`),
  "TLS of a stranger": () => answers(...shown("forged"), `https://${store.address}:${PORT.http}/`),
  "TLS of nobody": () => answers(`https://${store.address}:${PORT.http}/`),
  "TLS of a stranger, 15008": () =>
    answers(...shown("forged"), "-H", `x-bowline-port: ${PORT.http}`, `https://${store.address}:15008/`),
  "plain text, 15008": () => answers("-H", `x-bowline-port: ${PORT.http}`, `http://${store.address}:15008/`),
};

const PLAIN_HTTP = ["HTTP/1.1", "HTTP/2"];
const BYTES = ["bytes", "bytes, nothing declared", "bytes, no service"];
const OF_THE_MESH = ["TLS of the mesh, HTTP/1.1", "TLS of the mesh, HTTP/2", "TLS of the mesh, 15008"];
const ALL = [...PLAIN_HTTP, ...BYTES, ...OF_THE_MESH];

async function open(): Promise<string[]> {
  const ways = await Promise.all(Object.entries(WAYS).map(async ([way, goes]) => await goes() ? [way] : []));
  return ways.flat();
}

/** Writes these, and waits until just these ways are open. */
async function expectOpen(wanted: readonly string[], ...documents: readonly string[]): Promise<void> {
  mesh.write("peers.yaml", ...documents);
  let found: string[] = [];
  try {
    await until("the mode holds", async () => {
      found = await open();
      return JSON.stringify(found) === JSON.stringify(wanted);
    });
  } finally {
    expect([documents, found]).toEqual([documents, [...wanted]]);
  }
}

describe("a mode", () => {
  scenario(
    "is PERMISSIVE where nothing is said: plain text, and TLS of the mesh by its first bytes",
    async () => {
      await expectOpen(ALL);
      const { stdout } = await outside.run([
        "curl",
        "-sk",
        ...shown("front"),
        `https://${store.address}:${PORT.http}/x`,
      ]);
      const { path, headers } = JSON.parse(stdout);
      expect([path, headers["x-forwarded-client-cert"]]).toEqual([
        "/x",
        expect.stringMatching(/;URI=spiffe:\/\/cluster.local\/ns\/shop\/sa\/front$/),
      ]);
    },
  );

  scenario("of STRICT lets in whoever proves to be of the mesh, and nobody else", async () => {
    await expectOpen(OF_THE_MESH, ofNamespace("STRICT"));
    await storeSidecar.says("it is in plain text, and mutual TLS is required");
  });

  scenario("of the workload goes before that of the namespace, and that before the mesh's", async () => {
    await expectOpen(OF_THE_MESH, ofMesh("STRICT"));
    await expectOpen(ALL, ofMesh("STRICT"), ofNamespace("PERMISSIVE"));
    await expectOpen(OF_THE_MESH, ofNamespace("PERMISSIVE"), ofWorkload("mtls: { mode: STRICT }"));
    await expectOpen(ALL, ofMesh("STRICT"), ofNamespace("STRICT"), ofWorkload("mtls: { mode: DISABLE }"));
  });

  scenario("UNSET is that of whoever speaks for more", async () => {
    await expectOpen(
      OF_THE_MESH,
      ofMesh("STRICT"),
      ofNamespace("UNSET"),
      ofWorkload("mtls: { mode: UNSET }"),
    );
    await expectOpen(ALL, ofMesh("UNSET"), ofNamespace("UNSET"));
  });

  scenario("of a port goes before that of its workload, declared or not", async () => {
    const at = (port: number, mode: string) => `"${port}": { mode: ${mode} }`;
    await expectOpen(
      [...PLAIN_HTTP, ...OF_THE_MESH],
      ...[ofNamespace("STRICT"), ofPorts(at(PORT.http, "PERMISSIVE"))],
    );
    await expectOpen([...BYTES, ...OF_THE_MESH], ofPorts(at(PORT.http, "STRICT"), "PERMISSIVE"));
    await expectOpen(
      ["bytes, no service", ...OF_THE_MESH],
      ofPorts(`${at(PORT.undeclared, "DISABLE")}, ${at(PORT.http, "UNSET")}`, "STRICT"),
    );
    await expectOpen(
      [...PLAIN_HTTP, "bytes", ...OF_THE_MESH],
      ofPorts(`${at(PORT.undeclared, "STRICT")}, ${at(PORT.chatty, "STRICT")}`),
    );
  });
});

describe("connections that are open", () => {
  /** One that a program on the machine outside holds. */
  function held(port: number) {
    const words = [process.execPath, PROGRAMS, "hold", store.address, String(port)];
    const child = Bun.spawn([...outside.within, ...words], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const state = { heard: "" };
    const decoder = new TextDecoder();
    void (async () => {
      for await (const chunk of child.stdout) state.heard += decoder.decode(chunk);
    })();
    const say = (text: string) => {
      child.stdin.write(text);
      child.stdin.flush();
    };
    return { child, state, say };
  }

  scenario("in plain text end where STRICT comes to hold, bytes too; those of the mesh go on", async () => {
    await expectOpen(ALL);
    const requests = held(PORT.http);
    const bytes = [PORT.database, PORT.undeclared].map((port) => held(port));
    const call = `GET / HTTP/1.1\r\nHost: store\r\n\r\n`;
    requests.say(call);
    await until("the request is answered", () => requests.state.heard.includes('"name":"store"'));
    for (const { state } of bytes) await until("the server greets", () => state.heard === GREETING);
    mesh.write("peers.yaml", ofNamespace("STRICT"));
    for (const { child } of [requests, ...bytes]) await until("it is closed", () => child.exitCode !== null);
    await expectOpen(OF_THE_MESH, ofNamespace("STRICT"));
  });
});

const BETWEEN_EDITS_MS = 250;
const ROUNDS = 2;

/** The next line, each time. */
function lines(stream: ReadableStream<Uint8Array>): () => Promise<string> {
  const reader = createInterface(Readable.fromWeb(stream as never))[Symbol.asyncIterator]();
  return async () => (await reader.next()).value ?? "";
}

describe("a caller of the mesh", () => {
  const call = async () => {
    const { stdout } = await front.run([
      "curl",
      "-s",
      "--max-time",
      "10",
      "--resolve",
      `store:80:${STORE_IP}`,
      "http://store/",
    ]);
    return JSON.parse(stdout).headers["x-forwarded-client-cert"] as string | undefined;
  };
  const mutual = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: store, namespace: shop }
spec: { host: store, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`;

  scenario("calls in plain text where DISABLE says so, unless its own rule says ISTIO_MUTUAL", async () => {
    mesh.write("peers.yaml", "");
    await until("it proves who it is", async () => (await call())?.includes("sa/front") ?? false);
    mesh.write("peers.yaml", ofWorkload("mtls: { mode: DISABLE }"));
    await until("it calls in plain text", async () => await call() === undefined);
    mesh.write("rule.yaml", mutual);
    await until("it proves who it is again", async () => (await call())?.includes("sa/front") ?? false);
    mesh.write("rule.yaml", "");
    mesh.write("peers.yaml", ofPorts(`"${PORT.http}": { mode: DISABLE }`, "STRICT"));
    await until("it is plain text at that port", async () => await call() === undefined);
  });

  scenario("notices no change of the mode, whichever comes after which", async () => {
    const modes = {
      strict: ["mutual", ofWorkload("mtls: { mode: STRICT }")],
      permissive: ["mutual", ofWorkload("mtls: { mode: PERMISSIVE }")],
      disable: ["plain", ofWorkload("mtls: { mode: DISABLE }")],
      port: ["plain", ofPorts(`"${PORT.http}": { mode: DISABLE }`, "STRICT")],
    } as const;
    const words = [process.execPath, PROGRAMS, "load", STORE_IP, "80", "store"];
    mesh.write("peers.yaml", modes.strict[1]);
    const child = Bun.spawn([...front.within, ...words], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const heard = lines(child.stdout);
    let shown = "";
    for (let round = 0; round < ROUNDS; round++) {
      for (const mode of ["strict", "disable", "permissive", "port", "strict", "port", "disable"] as const) {
        const [wanted, document] = modes[mode];
        mesh.write("peers.yaml", document);
        while (shown !== wanted) shown = await heard();
        await Bun.sleep(BETWEEN_EDITS_MS);
      }
    }
    child.stdin.end();
    while (!shown.startsWith("{")) shown = await heard();
    const { answered, failures } = JSON.parse(shown) as LoadOutcome;
    expect([...new Set(failures)]).toEqual([]);
    expect(answered).toBeGreaterThan(1_000);
  });
});

describe("a call from outside", () => {
  const issuer = "https://issuer.test";
  const WAYS_IN: Readonly<Record<string, readonly string[]>> = {
    "HTTP/1.1": ["--http1.1"],
    "HTTP/2": ["--http2-prior-knowledge"],
    "gRPC": ["--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"],
  };
  const GRPC_STATUS: Readonly<Record<string, number>> = { "7": 403, "13": 400, "16": 401 };
  let keys: Issuer;

  /** The status; gRPC's as that of HTTP. */
  async function status(way: string, path: string, ...args: readonly string[]): Promise<number> {
    const target = [
      "--path-as-is",
      "-D",
      "-",
      "-o",
      "/dev/null",
      `http://${store.address}:${PORT.http}${path}`,
    ];
    const { stdout } = await outside.run(["curl", "-s", ...WAYS_IN[way] ?? [], ...args, ...target]);
    const grpc = /^grpc-status: (\d+)/m.exec(stdout)?.[1];
    return grpc === undefined ? Number(/^HTTP\/[\d.]+ (\d+)/.exec(stdout)?.[1]) : GRPC_STATUS[grpc] ?? 500;
  }

  beforeAll(async () => {
    keys = await newIssuer("one");
    const jwks = JSON.stringify({ keys: [keys.publicJwk] });
    const policy = (name: string, spec: string) =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n` +
      `metadata: { name: ${name}, namespace: shop }\nspec: ${spec}\n`;
    mesh.write("peers.yaml", "");
    mesh.write(
      "policies.yaml",
      `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { ${OF_STORE}, jwtRules: [{ issuer: "${issuer}", jwks: '${jwks}' }] }
`,
      policy(
        "open",
        `{ ${OF_STORE}, rules: [{ to: [{ operation: { paths: ["/public*"] } }] }, ` +
          `{ from: [{ source: { requestPrincipals: ["${issuer}/ann"] } }] }] }`,
      ),
      policy(
        "shut",
        `{ ${OF_STORE}, action: DENY, rules: [{ to: [{ operation: { paths: ["/public/secret"] } }] }, ` +
          `{ from: [{ source: { remoteIpBlocks: ["10.99.0.0/16"] } }], ` +
          `to: [{ operation: { paths: ["/public/inside"] } }] }] }`,
      ),
    );
    await until("the policies hold", async () => await status("HTTP/1.1", "/private") === 403);
  });

  scenario("opens no tunnel past the rules for requests", async () => {
    const request =
      `CONNECT store:${PORT.http} HTTP/1.1\r\nHost: store\r\n\r\nGET /private HTTP/1.1\r\nHost: store\r\n\r\n`;
    const { stdout } = await talk(outside, store.address, PORT.http, request, false);
    // There is none to a port that carries HTTP, and what came behind is read by nobody.
    expect(stdout.match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 404"]);
  });

  for (const way of Object.keys(WAYS_IN)) {
    scenario(`in plain text over ${way} is under the rules about tokens and paths`, async () => {
      const bearer = async (
        claims: Record<string, unknown>,
      ) => ["-H", `Authorization: Bearer ${await keys.sign({ iss: issuer, ...claims })}`];
      expect(await status(way, "/private", ...await bearer({}))).toBe(200);
      expect(await status(way, "/public/x")).toBe(200);
      for (
        const path of [
          "/private",
          "/public/../private",
          "/public/secret",
          "/public//secret",
          "/public/%73ecret",
        ]
      ) {
        expect([path, await status(way, path)]).toEqual([path, 403]);
      }
      for (const path of ["/public/..;/private", "/public%2f..%2fprivate", "/public/secret%00"]) {
        expect([path, await status(way, path)]).toEqual([path, 400]);
      }
      const stranger = await (await newIssuer("one")).sign({ iss: issuer });
      const tokens = [
        ...[
          await bearer({ iss: "https://evil.test" }),
          await bearer({ exp: 1 }),
          await bearer({ nbf: 9_999_999_999 }),
        ],
        ...[["-H", `Authorization: Bearer ${stranger}`], ["-H", "Authorization: Bearer garbage"]],
      ];
      for (const token of tokens) {
        expect([token, await status(way, "/public/x", ...token)]).toEqual([token, 401]);
      }
      expect(await status(way, "/private", ...await bearer({ sub: "eve" }))).toBe(403);
    });

    scenario(`in plain text over ${way} comes from where it comes from, whatever it says`, async () => {
      const said = ["-H", "x-forwarded-for: 203.0.113.5", "-H", "x-real-ip: 203.0.113.5"];
      expect(await status(way, "/public/inside", ...said)).toBe(403);
    });
  }
});
