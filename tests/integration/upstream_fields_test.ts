/**
 * How upstreams are spoken to where a DestinationRule says so: in the client's HTTP, after PROXY protocol, through an HTTP
 * proxy, on so many connections; and where its host is a wildcard.
 */
import { beforeAll, describe, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import type { TLSSocket } from "node:tls";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, replaceFile } from "./certificates.ts";
import { curl, RawConnection, viaSidecar } from "./clients.ts";
import { startNode } from "./http2_peers.ts";
import { Mesh } from "./mesh.ts";
import { service, trafficPolicy, workload } from "./resources.ts";

const mesh = new Mesh("127.0.54");
const CLIENT = mesh.address(10);
const INNER = mesh.address(11);
const SOCKET = mesh.address(12);
const OUTER = mesh.address(21);
const NGINX = mesh.address(22);
const PROXY = mesh.address(23);
const FAR = mesh.address(24);
const NEAR = mesh.address(25);
const BEYOND = mesh.address(26);
const PORT = { app: 8080, plain: 8081, tls: 8443, proxy: 3128 };

const authority = new OutsideAuthority(mesh.directory, "authority");
const file = (name: string) => join(mesh.directory, name);

endEverythingAfterwards();

function external(
  host: string,
  address: string,
  protocol: string,
  number: number,
  targetPort: number,
): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: "${host.replace("*", "any")}", namespace: shop }
spec:
  hosts: ["${host}"]
  ports: [{ number: ${number}, name: port, protocol: ${protocol}, targetPort: ${targetPort} }]
  resolution: STATIC
  endpoints: [{ address: ${address}, labels: { v: one } }]
`;
}

/** The same with a second endpoint. */
function twofold(host: string): string {
  const second = `, { address: ${NEAR}, labels: { v: two } }]`;
  return external(host, FAR, "HTTP", 80, PORT.app).replace(/\]\n$/, `${second}\n`);
}

/** Which subset of which host the header `to` asks for. */
const WILDCARD_ROUTES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: wide, namespace: shop }
spec:
  hosts: ["*.wide.test"]
  http:
${
  ["a.wide.test one", "a.wide.test two", "x-dev.wide.test dev", "x-dev.wide.test one"].map((to) => {
    const [host, subset] = to.split(" ");
    return `  - match: [{ headers: { to: { exact: "${to}" } } }]
    route: [{ destination: { host: ${host}, subset: ${subset} } }]
`;
  }).join("")
}  - route: [{ destination: { host: a.wide.test } }]
`;

/** Says in which HTTP it was asked: the first bytes tell which of two servers is meant. */
const EITHER_HTTP = (address: string) => `
const { connect, createServer } = require("net");
const answer = (request, response) => response.end("spoken " + request.httpVersion);
const one = require("http").createServer(answer).listen(0, "127.0.0.1");
const two = require("http2").createServer(answer).listen(0, "127.0.0.1");
createServer((socket) => socket.once("data", (first) => {
  const meant = first.toString("latin1").startsWith("PRI ") ? two : one;
  const inner = connect(meant.address().port, "127.0.0.1");
  inner.write(first);
  socket.pipe(inner).pipe(socket);
  for (const end of [socket, inner]) end.on("error", () => {});
})).listen(${PORT.app}, "${address}", () => console.log(${PORT.app}));`;

/** Leads every tunnel to one server, and tells for which targets it was asked and how. */
const HTTP_PROXY = `
const { connect } = require("net");
const seen = [];
const far = () => connect(${PORT.app}, "${FAR}");
const server = require("http").createServer((request, response) => {
  if (request.method !== "POST") return response.end(JSON.stringify(seen));
  seen.push("POST " + request.headers.host);
  response.flushHeaders();
  const socket = far();
  request.pipe(socket).pipe(response);
});
server.on("connect", (request, socket) => {
  seen.push("CONNECT " + request.url);
  socket.write("HTTP/1.1 200 Connection established\\r\\n\\r\\n");
  socket.pipe(far()).pipe(socket);
});
server.listen(${PORT.proxy}, "${PROXY}", () => console.log(${PORT.proxy}));`;

/** nginx that takes nobody without PROXY protocol, and says what that told. */
function startNginx(): void {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${file(`nginx-${name}`)};`).join("\n");
  const pair = authority.issue("DNS:said.test");
  replaceFile(file("nginx.crt"), pair.chain);
  replaceFile(file("nginx.key"), pair.key);
  writeFileSync(
    file("nginx.conf"),
    `daemon off; master_process off; pid ${file("nginx.pid")}; error_log stderr;
events {}
http {
  access_log off;
${paths}
  server {
    listen ${NGINX}:${PORT.plain} proxy_protocol;
    listen ${NGINX}:${PORT.tls} ssl proxy_protocol;
    ssl_certificate ${file("nginx.crt")};
    ssl_certificate_key ${file("nginx.key")};
    location / { return 200 "from $proxy_protocol_addr to $proxy_protocol_server_addr:$proxy_protocol_server_port"; }
  }
}
`,
  );
  const child = Bun.spawn(["nginx", "-e", "stderr", "-c", file("nginx.conf")], { stderr: "ignore" });
  afterwards(() => child.kill());
}

const FEW = "{ connectionPool: { tcp: { maxConnections: 1 } } }";

/** Answers 503 where it is asked to. */
function FAILS({ url }: IncomingMessage, response: ServerResponse): boolean {
  if (url !== "/fail") return false;
  response.writeHead(503).end();
  return true;
}

beforeAll(async () => {
  const tls = `tls: { mode: SIMPLE, sni: said.test, caCertificates: ${authority.rootFile} }`;
  const client = "connectionPool: { http: { useClientProtocol: true } }";
  const tunnel = (more: string) => `tunnel: { targetHost: behind.test, targetPort: 5432${more} }`;
  mesh.write(
    "mesh.yaml",
    service("inner"),
    service("outer"),
    workload("client", CLIENT),
    workload("inner", INNER),
    workload("outer", OUTER, { serviceAccount: null }),
    service("socket"),
    workload("socket", SOCKET),
    `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: socket, namespace: shop }
spec:
  workloadSelector: { labels: { app: socket } }
  ingress:
  - port: { number: 8080, protocol: HTTP, name: http }
    defaultEndpoint: unix://${file("app.sock")}
`,
    trafficPolicy("inner", `{ ${client} }`),
    trafficPolicy("outer", `{ ${client} }`),
    external("one.test", NGINX, "HTTP", 80, PORT.plain),
    external("two.test", NGINX, "HTTP", 80, PORT.tls),
    external("bytes.test", NGINX, "TLS", 443, PORT.tls),
    external("connect.test", PROXY, "TCP", 7000, PORT.proxy),
    external("post.test", PROXY, "TCP", 7000, PORT.proxy),
    trafficPolicy("one.test", "{ proxyProtocol: { version: V1 } }"),
    trafficPolicy("two.test", `{ proxyProtocol: { version: V1 }, ${tls} }`),
    trafficPolicy("bytes.test", "{ proxyProtocol: { version: V2 } }"),
    trafficPolicy("connect.test", `{ ${tunnel("")} }`),
    trafficPolicy("post.test", `{ ${tunnel(", protocol: POST")} }`),
    external("full.test", FAR, "TCP", 7000, PORT.app),
    trafficPolicy("full.test", FEW),
    service("full", 7000).replace("name: http", "name: tcp").replace("app: full", "app: inner")
      .replace("port: 7000", `port: 7000, targetPort: ${PORT.app}`),
    trafficPolicy("full", FEW),
    twofold("a.wide.test"),
    twofold("x-dev.wide.test"),
    `${
      trafficPolicy(
        "*.wide.test",
        "{ outlierDetection: { consecutive5xxErrors: 1, maxEjectionPercent: 100 } }",
      )
    }  subsets:
  - { name: one, labels: { v: one } }
  - { name: two, labels: { v: two } }
`,
    `${
      trafficPolicy("*-dev.wide.test", "{ loadBalancer: { simple: ROUND_ROBIN } }")
    }  subsets: [{ name: dev, labels: { v: two } }]\n`,
    WILDCARD_ROUTES,
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: onwards, namespace: shop }
spec:
  hosts: [onwards.test]
  addresses: [${FAR}, ${BEYOND}/31]
  ports: [{ number: ${PORT.app}, name: http, protocol: HTTP }]
  resolution: NONE
`,
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: onwards, namespace: shop }
spec:
  hosts: [onwards.test]
  http: [{ route: [{ destination: { host: onwards.test } }], headers: { response: { set: { by: rules } } } }]
`,
    external("*.open.test", FAR, "HTTP", 80, PORT.tls),
    trafficPolicy("*.open.test", `{ tls: { mode: SIMPLE, caCertificates: ${authority.rootFile} } }`),
  );
  await Promise.all([EITHER_HTTP(INNER), EITHER_HTTP(OUTER), HTTP_PROXY].map(startNode));
  startNginx();
  await startEcho("far", FAR);
  await startEcho("near", NEAR, FAILS);
  await startEcho("beyond", BEYOND);
  const pair = authority.issue("DNS:a.open.test");
  const open = createHttps(
    { cert: pair.chain, key: pair.key },
    ({ socket }, response) => void response.end(`asked for ${(socket as TLSSocket).servername}`),
  ).listen(PORT.tls, FAR);
  afterwards(() => open.close());
  const app = createServer((_, response) => void response.end("by the socket")).listen(file("app.sock"));
  afterwards(() => app.close());
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/inner", { at: 11 });
  await mesh.startSidecar("shop/socket", { at: 12 });
  await mesh.untilSynced(3);
});

describe("useClientProtocol", () => {
  for (const host of ["outer", "inner"]) {
    scenario(`the program behind ${host} is spoken to as the caller speaks`, async () => {
      expect((await viaSidecar(CLIENT, host)).body).toBe("spoken 1.1");
      expect((await viaSidecar(CLIENT, host, "/", "--http2-prior-knowledge")).body).toBe("spoken 2.0");
      expect((await viaSidecar(CLIENT, host)).body).toBe("spoken 1.1");
    });
  }
});

describe("PROXY protocol", () => {
  const own = (port: number) => new RegExp(`^from 127\\.0\\.\\d+\\.\\d+ to ${NGINX}:${port}$`);

  scenario("nginx hears the sidecar's own ends with requests, in plain text and before TLS", async () => {
    await until("nginx listens", async () => (await viaSidecar(CLIENT, "one.test")).status === 200);
    expect((await viaSidecar(CLIENT, "one.test")).body).toMatch(own(PORT.plain));
    expect((await viaSidecar(CLIENT, "two.test")).body).toMatch(own(PORT.tls));
  });

  scenario("and with bytes those of the client's connection", async () => {
    const { body } = await curl(
      ...["--connect-to", `bytes.test:443:${CLIENT}:15001`, "--insecure", "https://bytes.test/"],
    );
    expect(body).toMatch(new RegExp(`^from 127\\.0\\.0\\.1 to ${CLIENT}:15001$`));
  });
});

scenario("a Sidecar delivers to a socket in the file system", async () => {
  expect((await viaSidecar(CLIENT, "socket")).body).toBe("by the socket");
});

scenario("bytes go through an HTTP proxy, by CONNECT and by POST", async () => {
  for (const host of ["connect.test", "post.test"]) {
    const through = await curl("--proxytunnel", "--proxy", `http://${CLIENT}:15001`, `http://${host}:7000/x`);
    const echo = JSON.parse(through.body) as Echo;
    expect([echo.app, echo.path]).toEqual(["far", "/x"]);
  }
  const seen = await (await fetch(`http://${PROXY}:${PORT.proxy}/`)).json();
  expect(seen).toEqual(["CONNECT behind.test:5432", "POST behind.test:5432"]);
});

scenario(
  "with the resolution NONE a request goes to the address that it asks for, by the host's rules",
  async () => {
    for (const [address, app] of [[FAR, "far"], [BEYOND, "beyond"]] as const) {
      const answer = await curl("--proxy", `http://${CLIENT}:15001`, `http://${address}:${PORT.app}/`);
      expect([(JSON.parse(answer.body) as Echo).app, answer.headers["by"]?.[0]]).toEqual([app, "rules"]);
    }
  },
);

describe("maxConnections", () => {
  for (const [how, target] of [["straight", "full.test:7000"], ["over the mesh", "full:7000"]] as const) {
    scenario(`a client's connection for bytes is one of them ${how}, and one more is refused`, async () => {
      const connect = () => {
        const client = new RawConnection(CLIENT, 15001);
        client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
        return client;
      };
      const first = connect();
      expect(await first.read(/\r\n\r\n/)).toStartWith("HTTP/1.1 200");
      const second = connect();
      const refusal = await second.read(/\r\n\r\n/);
      expect(refusal).toStartWith("HTTP/1.1 503");
      expect(refusal).toContain("x-bowline-reply: UO overflow");
      first.close();
      await until("there is room again", async () => {
        const third = connect();
        const answer = await third.read(/\r\n\r\n/);
        third.close();
        return answer.startsWith("HTTP/1.1 200");
      });
    });
  }
});

describe("a wildcard's DestinationRule", () => {
  const ask = async (to: string) => {
    const { status, body, headers } = await viaSidecar(CLIENT, "a.wide.test", "/", "-H", `to: ${to}`);
    return status === 200 ? (JSON.parse(body) as Echo).app : headers["x-bowline-reply"]?.[0]?.slice(0, 2);
  };

  scenario("has the subsets of each host that it covers, unless a narrower one hides it", async () => {
    expect([await ask("a.wide.test one"), await ask("a.wide.test two")]).toEqual(["far", "near"]);
    expect([await ask("x-dev.wide.test dev"), await ask("x-dev.wide.test one")]).toEqual(["near", "NC"]);
  });

  scenario("ejects endpoints", async () => {
    await until("the one that fails was met", async () => {
      return (await viaSidecar(CLIENT, "a.wide.test", "/fail")).status === 503;
    });
    for (let i = 0; i < 10; i++) expect(await ask("a.wide.test")).toBe("far");
  });

  scenario("asks in TLS for the host that the call names, and takes no other's certificate", async () => {
    expect((await viaSidecar(CLIENT, "a.open.test")).body).toBe("asked for a.open.test");
    const other = await viaSidecar(CLIENT, "b.open.test");
    expect([other.status, other.headers["x-bowline-reply"]?.[0]?.slice(0, 2)]).toEqual([503, "UF"]);
  });
});
