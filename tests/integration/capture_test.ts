/** Connections that the kernel captures: what is found out about them, where they go, and that nothing of them is lost. */
import { beforeAll, describe, expect } from "bun:test";
import { sha256 } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { MachineMesh, STORE_IP, storeService, talk } from "./machine_mesh.ts";
import { GREETING, PORT } from "./machine_programs.ts";
import { capture, type Machine, startMachines } from "./machines.ts";
import { Mesh } from "./mesh.ts";
import { workload } from "./resources.ts";

const BIG_BYTES = 20 * 1024 * 1024;

const STORE = storeService(
  `{ name: redis, port: ${PORT.redis} }`,
  `{ name: https-web, port: 443, targetPort: ${PORT.tls} }`,
);
/** A host with two addresses of which one leads to another service; nobody has either. */
const split = (address: string) =>
  `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: split, namespace: shop }
spec:
  hosts: [split.test]
  addresses: [10.97.0.1, 10.97.0.2]
  ports: [{ number: ${PORT.database}, name: tcp, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: ${address}, ports: { tcp: ${PORT.chatty} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: split, namespace: shop }
spec:
  hosts: [split.test]
  tcp:
  - match: [{ destinationSubnets: [10.97.0.2/32] }]
    route: [{ destination: { host: store, port: { number: ${PORT.database} } } }]
  - route: [{ destination: { host: split.test } }]
`;

/** A network of which nothing is known but that it is there: no DNS has the name. 10.99.2.1 is the machine outside. */
const LEGACY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: legacy, namespace: shop }
spec:
  hosts: [legacy.test]
  addresses: [10.99.2.0/31]
  resolution: NONE
  ports:
  - { number: ${PORT.http}, name: http, protocol: HTTP }
  - { number: ${PORT.tls}, name: tls, protocol: TLS }
  - { number: ${PORT.database}, name: tcp, protocol: TCP }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: legacy, namespace: shop }
spec:
  hosts: [legacy.test]
  http:
  - headers: { request: { set: { x-rule: legacy } } }
    route: [{ destination: { host: legacy.test, port: { number: ${PORT.http} } } }]
`;
const LEGACY_IP = "10.99.2.1";

const mesh = new Mesh("127.0.49");
let outside: Machine;
let front: Machine;
let store: Machine;
let frontSidecar: Bowline;
let storeSidecar: Bowline;
let machines: MachineMesh;

endEverythingAfterwards();

beforeAll(async () => {
  [outside, front, store] = startMachines("outside", "front", "store") as [Machine, Machine, Machine];
  machines = new MachineMesh(mesh);
  const workloads = [workload("front", front.address), workload("store", store.address)];
  mesh.write("mesh.yaml", STORE, ...workloads, split(outside.address), LEGACY);
  await machines.startControlPlane(outside);
  // A machine that is gone is found out sooner.
  frontSidecar = await machines.startSidecar("front", front, "--limit", "keepalive-timeout=4s");
  storeSidecar = await machines.startSidecar("store", store);
  await Promise.all([machines.serve("outside", outside), machines.serve("store", store)]);
  startRedis();
  // Between the two nothing may pass but the mesh.
  const plain = ["-s", front.address, "-d", store.address, "-p", "tcp", "!", "--dport", "15008"];
  outside.do("iptables", "-A", "FORWARD", ...plain, "-j", "REJECT", "--reject-with", "tcp-reset");
  for (const machine of [front, store]) capture(machine);
}, 60_000);

function startRedis(): void {
  const options = [
    "--port",
    String(PORT.redis),
    "--protected-mode",
    "no",
    "--save",
    "",
    "--appendonly",
    "no",
  ];
  machines.run(store, "redis-server", ...options, "--dir", mesh.directory);
}

interface Seen {
  readonly name: string;
  readonly path: string;
  readonly from: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the server saw of a request with curl; throws when it is not answered with JSON. */
async function ask(machine: Machine, ...words: string[]): Promise<Seen> {
  const { code, stdout, stderr } = await machine.run(["curl", "-sS", "--max-time", "10", ...words]);
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}`);
  try {
    return JSON.parse(stdout) as Seen;
  } catch {
    throw new Error(`It answered ${stdout}`);
  }
}

/** Sends much to a server that greets, and checks that it comes back whole; returns who answered and whom it saw. */
async function exchange(machine: Machine, host: string, port: number, greeted = true): Promise<string> {
  const input = Buffer.alloc(BIG_BYTES, "0123456789abcdef!");
  const { bytes, stderr } = await talk(machine, host, port, input, greeted);
  const line = bytes.subarray(GREETING.length, bytes.indexOf("\n", GREETING.length) + 1);
  const [name, from, length, hash] = line.toString().trim().split(" ");
  expect([stderr, bytes.subarray(0, GREETING.length).toString()]).toEqual(["", GREETING]);
  expect([length, hash]).toEqual([String(input.length), sha256(input)]);
  expect(sha256(bytes.subarray(GREETING.length + line.length))).toBe(sha256(input));
  return `${name} ${from}`;
}

/** The server saw the sidecar of its own machine. */
const BY_SIDECAR = /^store (::ffff:)?127\.0\.0\.1$/;

describe("HTTP that was captured", () => {
  scenario("goes over the mesh by its authority, whatever address it was sent to", async () => {
    for (const address of [STORE_IP, store.address, "10.99.200.200"]) {
      const seen = await ask(front, "--resolve", `store:80:${address}`, "http://store/x");
      expect(seen).toMatchObject({ name: "store", path: "/x" });
      expect(seen.headers["x-forwarded-client-cert"]).toContain(
        "URI=spiffe://cluster.local/ns/shop/sa/front",
      );
    }
  });

  scenario("with an authority that nobody has goes to the service that was dialled", async () => {
    const seen = await ask(front, "-H", "Host: nobody.example", `http://${STORE_IP}/y`);
    expect(seen.headers["x-forwarded-client-cert"]).toContain("sa/front");
    const direct = await ask(front, "-H", "Host: nobody.example", `http://${store.address}:${PORT.http}/y`);
    expect(direct.headers["x-forwarded-client-cert"]).toContain("sa/front");
  });

  scenario("passes through to the address that was dialled, not to that of its Host", async () => {
    const seen = await ask(front, "-H", "Host: nobody.example", `http://${outside.address}:${PORT.http}/z`);
    expect(seen).toMatchObject({ name: "outside", path: "/z" });
  });

  scenario("in HTTP/2 without TLS works as well", async () => {
    const seen = await ask(
      front,
      ...["--http2-prior-knowledge", "--resolve", `store:80:${STORE_IP}`, "http://store/h2"],
    );
    expect(seen).toMatchObject({ name: "store", path: "/h2" });
  });
});

describe("TCP that was captured", () => {
  scenario("goes by the address that was dialled, where a rule names a network", async () => {
    expect(await exchange(front, "10.97.0.1", PORT.database)).toMatch(/^outside /);
    expect(await exchange(front, "10.97.0.2", PORT.database)).toMatch(BY_SIDECAR);
  });

  scenario("to a declared port is whole both ways, though the server speaks first", async () => {
    expect(await exchange(front, STORE_IP, PORT.database)).toMatch(BY_SIDECAR);
    expect(await exchange(front, store.address, PORT.database)).toMatch(BY_SIDECAR);
  });

  scenario("to a port of which nothing is declared is told by its bytes", async () => {
    expect(await exchange(front, STORE_IP, PORT.chatty, false)).toMatch(BY_SIDECAR);
  });

  scenario("to such a port whose server speaks first goes on after a while", async () => {
    expect(await exchange(front, STORE_IP, PORT.chatty)).toMatch(BY_SIDECAR);
  });

  scenario("to an address that nobody knows passes through", async () => {
    expect(await exchange(front, outside.address, PORT.database, false)).toBe(
      `outside ::ffff:${front.address}`,
    );
  });

  scenario("is reset when the upstream refuses", async () => {
    const { code, stderr } = await talk(front, outside.address, 9, "hello", false);
    expect([code, stderr.trim()]).toEqual([1, "ECONNRESET"]);
  });

  scenario("is real Redis", async () => {
    const cli = (...words: string[]) => front.run(["redis-cli", "-h", STORE_IP, ...words]);
    expect((await cli("set", "knot", "bowline")).stdout).toBe("OK\n");
    expect((await cli("get", "knot")).stdout).toBe("bowline\n");
    const value = "x".repeat(1_000_000);
    expect((await front.run(["redis-cli", "-h", STORE_IP, "-x", "set", "big"], value)).stdout).toBe("OK\n");
    expect((await cli("strlen", "big")).stdout).toBe("1000000\n");
  });
});

describe("TLS of the programs' own", () => {
  scenario("goes through as it is, inside the mesh's, by its server name", async () => {
    const seen = await ask(front, "-k", "--resolve", `store:443:${STORE_IP}`, "https://store/tls");
    expect(seen).toMatchObject({ name: "store", path: "/tls" });
    expect(seen.from).toMatch(/127\.0\.0\.1$/);
    expect(seen.headers["x-forwarded-client-cert"]).toBeUndefined();
  });

  scenario("is found by its server name too when it was dialled at the proxy", async () => {
    const seen = await ask(front, "-k", "--connect-to", "store:443:127.0.0.1:15001", "https://store/direct");
    expect(seen).toMatchObject({ name: "store", path: "/direct" });
  });

  scenario("to a name that nobody knows passes through to the address that was dialled", async () => {
    const url = `https://nobody.example:${PORT.tls}/`;
    const seen = await ask(front, "-k", "--resolve", `nobody.example:${PORT.tls}:${outside.address}`, url);
    expect(seen).toMatchObject({ name: "outside" });
  });
});

describe("a service with the resolution NONE", () => {
  scenario("takes requests to the address that was dialled, by its rules", async () => {
    const byAddress = ["-H", "x-rule: mine", `http://${LEGACY_IP}:${PORT.http}/old`];
    const byName = [
      "--resolve",
      `legacy.test:${PORT.http}:${LEGACY_IP}`,
      `http://legacy.test:${PORT.http}/old`,
    ];
    for (const words of [byAddress, byName]) {
      const seen = await ask(front, ...words);
      expect(seen).toMatchObject({ name: "outside", path: "/old", headers: { "x-rule": "legacy" } });
    }
  });

  scenario("takes TLS and bytes there as well", async () => {
    const name = ["--resolve", `legacy.test:${PORT.tls}:${LEGACY_IP}`, `https://legacy.test:${PORT.tls}/`];
    for (const words of [[`https://${LEGACY_IP}:${PORT.tls}/`], name]) {
      expect(await ask(front, "-k", ...words)).toMatchObject({ name: "outside" });
    }
    expect(await exchange(front, LEGACY_IP, PORT.database)).toStartWith("outside ");
  });
});

describe("plain calls from outside the mesh", () => {
  scenario("reach a declared port, and cannot claim to be anybody", async () => {
    const claims = ["-H", "x-forwarded-client-cert: URI=spiffe://x", "-H", "x-bowline-port: 22"];
    const seen = await ask(outside, ...claims, `http://${store.address}:${PORT.http}/plain`);
    expect(seen).toMatchObject({ name: "store", path: "/plain" });
    expect(seen.from).toMatch(/127\.0\.0\.1$/);
    expect(Object.keys(seen.headers).filter((name) => /bowline|client-cert/.test(name))).toEqual([]);
    expect(seen.headers["x-request-id"]).toBeDefined();
  });

  scenario("that are no request are answered once, and nothing behind them is heard", async () => {
    const host = "Host: store\r\n";
    const chunked = "Transfer-Encoding: chunked\r\n";
    const refused: readonly (readonly [request: string, status: number])[] = [
      [`POST / HTTP/1.1\r\n${host}${chunked}Content-Length: 4\r\n\r\n0\r\n\r\n`, 400],
      [`POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 40\r\n\r\n`, 400],
      [`POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}X: y\n${chunked}\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}Host: other\r\n\r\n`, 400],
      [`CONNECT / HTTP/1.1\r\n${host}\r\n`, 400],
      // A tunnel to a port that carries HTTP, which a program may grant without knowing of it.
      [`CONNECT store:80 HTTP/1.1\r\n${host}\r\n`, 404],
    ];
    const smuggled = `GET /smuggled HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
    for (const [request, status] of refused) {
      const { stdout } = await talk(outside, store.address, PORT.http, request + smuggled, false);
      expect(stdout).toStartWith(`HTTP/1.1 ${status} `);
      expect(stdout).not.toContain("/smuggled");
    }
  });

  scenario("of TCP and TLS are whole", async () => {
    expect(await exchange(outside, store.address, PORT.database)).toMatch(BY_SIDECAR);
    expect(await ask(outside, "-k", `https://${store.address}:${PORT.tls}/`)).toMatchObject({
      name: "store",
    });
  });

  scenario("to a port of no service pass through to it", async () => {
    expect(await exchange(outside, store.address, PORT.undeclared)).toStartWith("store ");
  });

  scenario("to a port of the proxy are closed", async () => {
    const { code, stdout } = await outside.run(["curl", "-sS", `http://${store.address}:15001/`]);
    expect([code === 0, stdout]).toEqual([false, ""]);
    await storeSidecar.says("port 15001 of this proxy");
  });
});

describe("circles", () => {
  scenario("a captured connection to the proxy's own port is closed", async () => {
    const rule = ["-p", "tcp", "-d", "127.0.0.1", "--dport", "15006", "-m", "owner", "--uid-owner", "0"];
    front.do("iptables", "-t", "nat", "-I", "OUTPUT", ...rule, "-j", "REDIRECT", "--to-ports", "15001");
    const { code } = await front.run(["curl", "-sS", "http://127.0.0.1:15006/"]);
    expect(code).not.toBe(0);
    await frontSidecar.says("127.0.0.1:15006, a port of this proxy");
  });

  scenario("who dials 15006 is closed, and bytes that say nothing are answered 400 at 15001", async () => {
    expect((await store.run(["curl", "-sS", "http://127.0.0.1:15006/"])).code).not.toBe(0);
    await storeSidecar.says("only takes captured ones");
    const { stdout } = await talk(store, "127.0.0.1", 15001, "\x01\x02\x03 bytes\r\n\r\n", false);
    expect(stdout).toStartWith("HTTP/1.1 400 ");
    await storeSidecar.says("capture it with iptables, or ask by CONNECT");
  });
});

describe("a machine that is gone without a word", () => {
  scenario(
    "what was sent to it is answered 503 once it owes the answer to a ping for too long",
    async () => {
      const post = [
        "curl",
        "-sS",
        "-i",
        "--max-time",
        "30",
        "-d",
        "x",
        "-H",
        "Host: store",
        `http://${STORE_IP}/`,
      ];
      expect((await front.run(post)).stdout).toStartWith("HTTP/1.1 200 ");
      const between = [front.address, store.address];
      for (const [source, destination] of [between, between.toReversed()] as [string, string][]) {
        outside.do("iptables", "-I", "FORWARD", "-s", source, "-d", destination, "-j", "DROP");
      }
      const { stdout } = await front.run(post);
      expect(stdout).toStartWith("HTTP/1.1 503 ");
      expect(stdout).toContain("x-bowline-reply: UC ");
      for (let i = 0; i < 2; i++) outside.do("iptables", "-D", "FORWARD", "1");
      await until("it is back", async () => (await front.run(post)).stdout.startsWith("HTTP/1.1 200 "));
    },
  );
});
