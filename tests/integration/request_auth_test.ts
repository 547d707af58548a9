/** Tokens of requests: which pass, on every protocol, and what becomes of the rest when the server of the keys fails. */
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { endEverythingAfterwards, everythingSaid, scenario, until } from "./bowline.ts";
import { curl, type CurlAnswer } from "./clients.ts";
import { forgedTokens } from "./forged_tokens.ts";
import { BAD_PATHS, type Issuer, KeyServer, newIssuer } from "./key_server.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.50");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
const SHUT = mesh.address(12);
const GATEWAY = mesh.address(20);
const KEYS = mesh.address(30);
const PORT = 7_000;

const ISSUER = "https://issuer.test";
const DOWN = "https://down.test";
const server = new KeyServer();
let issuer: Issuer;
let stranger: Issuer;
let written: Issuer;

endEverythingAfterwards();

function security(kind: string, name: string, namespace: string, spec: string): string {
  return `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
}

const url = (path: string) => `http://${KEYS}:${PORT}/${path}`;

beforeAll(async () => {
  [issuer, stranger, written] = await Promise.all([
    newIssuer("one"),
    newIssuer("one"),
    newIssuer("written", "RS256"),
  ]);
  server.keys = [issuer.publicJwk];
  await server.start(KEYS, PORT);
  const jwks = JSON.stringify({ keys: [written.publicJwk] });
  const rules = [
    `{ issuer: "${ISSUER}", jwksUri: "${
      url("good")
    }", audiences: [web, app], outputPayloadToHeader: x-payload, ` +
    "outputClaimToHeaders: [{ header: x-group, claim: group }] }",
    `{ issuer: written, jwks: '${jwks}', fromCookies: [sid], fromHeaders: [{ name: x-token }] }`,
    `{ issuer: "${DOWN}", jwksUri: "http://${KEYS}:${PORT + 1}/good" }`,
    ...BAD_PATHS.map((path) => `{ issuer: ${path}, jwksUri: "${url(path)}", timeout: 1s }`),
  ];
  const guarded = (name: string, app: string) =>
    security(
      "AuthorizationPolicy",
      name,
      "shop",
      `{ selector: { matchLabels: { app: ${app} } }, rules: [{ to: [{ operation: { notPaths: ["/admin*"] } }] }, ` +
        `{ from: [{ source: { requestPrincipals: ["${ISSUER}/ann"] } }], ` +
        `when: [{ key: "request.auth.claims[group]", values: [staff] }] }] }`,
    );
  mesh.write("services.yaml", service("web"), service("shut"));
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT),
    workload("web", WEB),
    workload("shut", SHUT),
    workload("edge", GATEWAY, { namespace: "edge" }),
  );
  mesh.write(
    "tokens.yaml",
    security("RequestAuthentication", "tokens", "shop", `{ jwtRules: [${rules.join(", ")}] }`),
    security("RequestAuthentication", "tokens", "edge", `{ jwtRules: [${rules[0]}] }`),
    guarded("web", "web"),
  );
  mesh.write(
    "gateway.yaml",
    `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: main, namespace: edge }
spec:
  selector: { app: edge }
  servers: [{ port: { number: 8080, name: http, protocol: HTTP }, hosts: ["*"] }]
`,
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: edge, namespace: shop }
spec:
  hosts: [edge.test]
  gateways: [edge/main]
  http:
  - match: [{ headers: { "@request.auth.claims.group": { exact: staff } } }]
    directResponse: { status: 299 }
  - match: [{ withoutHeaders: { "@request.auth.claims[realm][roles]": { exact: guest } }, uri: { exact: /noguest } }]
    directResponse: { status: 298 }
  - route: [{ destination: { host: web } }]
`,
  );
  await mesh.startControlPlane();
  const env = { BOWLINE_JWKS_ALLOW: `${KEYS}/32` };
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11, env }),
    mesh.startSidecar("shop/shut", { at: 12 }),
    mesh.startSidecar("edge/edge", { at: 20, env, role: "gateway", workers: 2 }),
    startEcho("web", WEB),
    startEcho("shut", SHUT),
  ]);
  await mesh.untilSynced(4);
});

type Ask = (token: string | null, path?: string, ...args: readonly string[]) => Promise<CurlAnswer>;

function asks(...args: readonly string[]): Ask {
  return (token, path = "/", ...more) => {
    const bearer = token === null ? [] : ["-H", `Authorization: Bearer ${token}`];
    const host = more.includes("-H") && more.some((one) => one.startsWith("Host:"))
      ? []
      : ["-H", "Host: web:8080"];
    return curl(...args, ...host, ...bearer, ...more, `http://${CLIENT}:15001${path}`);
  };
}

/** Of each issuer whose keys cannot be had, on each protocol. */
const TOKENS_EACH = 5;

/** gRPC answers 200, and says the rest in a field. */
function statusOf({ status, headers }: CurlAnswer): number {
  const grpc = headers["grpc-status"]?.[0];
  return grpc === undefined ? status : grpc === "16" ? 401 : grpc === "7" ? 403 : Number(grpc);
}

const PROTOCOLS: readonly (readonly [string, Ask])[] = [
  ["HTTP/1.1", asks("--http1.1")],
  ["HTTP/2", asks("--http2-prior-knowledge")],
  ["gRPC", asks("--http2-prior-knowledge", "-H", "content-type: application/grpc", "-X", "POST")],
];

const good = (more: Record<string, unknown> = {}) =>
  issuer.sign({ iss: ISSUER, aud: "web", group: "staff", ...more });

const forgeries = () =>
  forgedTokens({ issuer, stranger, other: written }, { iss: ISSUER, aud: "web", group: "staff" });

for (const [protocol, ask] of PROTOCOLS) {
  describe(protocol, () => {
    scenario("a token that holds is let through, and one is needed where a policy says so", async () => {
      const token = await good();
      expect(statusOf(await ask(token, "/admin"))).toBe(200);
      expect(statusOf(await ask(token, "/admin"))).toBe(200);
      expect(statusOf(await ask(null, "/"))).toBe(200);
      for (const path of ["/admin", "/admin?x", "/admin?", "/x/../admin", "/%61dmin?access_token"]) {
        const status = statusOf(await ask(null, path, "--path-as-is"));
        expect([path, status]).toEqual([path, path.includes("access_token") ? 401 : 403]);
      }
      expect(statusOf(await ask(await good({ group: "guest" }), "/admin"))).toBe(403);
      expect(statusOf(await ask(await good({ sub: "eve" }), "/admin"))).toBe(403);
      expect(statusOf(await ask(await good({ group: ["x", "staff"] }), "/admin"))).toBe(200);
    });

    scenario("no forgery is let through, and each is answered with its reason", async () => {
      const tokens = Object.entries(await forgeries());
      const answers = await Promise.all(tokens.map(([, token]) => ask(token)));
      const passed = tokens.filter((_, index) => statusOf(answers[index] as CurlAnswer) !== 401);
      expect(passed.map(([what]) => what)).toEqual([]);
      for (const { headers, body } of answers) {
        expect(headers["www-authenticate"]?.[0]).toContain('error="invalid_token"');
        if (protocol !== "gRPC") expect(body).toMatch(/Jw/);
      }
    });

    scenario("a server of keys that fails lets nobody through", async () => {
      const issuers = [DOWN, ...BAD_PATHS];
      const statuses = await Promise.all(
        issuers.flatMap((iss) =>
          Array.from(
            { length: 5 },
            async () => [iss, statusOf(await ask(await issuer.sign({ iss, aud: "web" })))],
          )
        ),
      );
      expect(statuses.filter(([, status]) => status !== 401)).toEqual([]);
    });
  });
}

describe("a gateway", () => {
  const at = (token: string | null, path = "/", ...args: readonly string[]) => {
    const bearer = token === null ? [] : ["-H", `Authorization: Bearer ${token}`];
    return curl(...args, "-H", "Host: edge.test", ...bearer, `http://${GATEWAY}:8080${path}`);
  };

  scenario("verifies tokens, and routes by what they say", async () => {
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      expect((await at(await good(), "/", version)).status).toBe(299);
      const guest = { group: "guest", realm: { roles: ["guest"] } };
      expect((await at(await good(guest), "/", version)).status).toBe(200);
      expect((await at(await good(guest), "/noguest", version)).status).toBe(200);
      expect((await at(await good({ group: "guest" }), "/noguest", version)).status).toBe(298);
      expect((await at(null, "/noguest", version)).status).toBe(298);
      const { status, body } = await at(null, "/", version);
      expect([status, (JSON.parse(body) as Echo).app]).toEqual([200, "web"]);
      expect((await at(null, "/", version, "-H", "@request.auth.claims.group: staff")).status).not.toBe(299);
      for (const [what, token] of Object.entries(await forgeries())) {
        expect([what, (await at(token, "/", version)).status]).toEqual([what, 401]);
      }
    }
  });
});

describe("what the workload is told", () => {
  const [, ask] = PROTOCOLS[1] as readonly [string, Ask];

  scenario(
    "the payload and claims, and never the token nor what the client says in their place",
    async () => {
      const token = await good();
      const forged = [
        "x-group: root",
        "x-payload: forged",
        "x_group: root",
        "X-Payload: forged",
        "x_Payload: y",
      ];
      const { body } = await ask(token, "/?a=b", ...forged.flatMap((field) => ["-H", field]));
      const echo = JSON.parse(body) as Echo;
      expect(echo.headers["x-group"]).toBe("staff");
      expect(echo.headers["x-payload"]).toBe(token.split(".")[1]);
      // A program that speaks CGI would take them for the same.
      expect(Object.keys(echo.headers).filter((name) => name.includes("_"))).toEqual([]);
      expect(echo.headers["authorization"]).toBeUndefined();
      const without = JSON.parse(
        (await ask(null, "/", "-H", "x-group: root", "-H", "x-payload: forged")).body,
      );
      expect([without.headers["x-group"], without.headers["x-payload"]]).toEqual([undefined, undefined]);
    },
  );

  scenario(
    "a token in a parameter, a cookie or a header of its own is as good, and taken out as well",
    async () => {
      const inParameter = JSON.parse((await ask(null, `/x?a=b&access_token=${await good()}`)).body) as Echo;
      expect([inParameter.path, inParameter.headers["x-group"]]).toEqual(["/x?a=b", "staff"]);
      const token = await written.sign({ iss: "written" });
      const inCookie = JSON.parse((await ask(null, "/", "-H", `Cookie: a=b; sid=${token}`)).body) as Echo;
      expect(inCookie.headers["cookie"]).toBe("a=b");
      const inHeader = JSON.parse((await ask(null, "/", "-H", `X-Token: ${token}`)).body) as Echo;
      expect(inHeader.headers["x-token"]).toBeUndefined();
      const both = await ask(await good(), "/?access_token=garbage");
      expect(both.status).toBe(401);
    },
  );

  scenario("a body waits for the token", async () => {
    const body = "x".repeat(300_000);
    const path = mesh.file("body", body);
    const { body: answer } = await ask(await good({ jti: "new" }), "/", "--data-binary", `@${path}`);
    expect((JSON.parse(answer) as Echo).bodyBytes).toBe(body.length);
  });
});

describe("the server of the keys", () => {
  const [, ask] = PROTOCOLS[0] as readonly [string, Ask];

  scenario("is asked once, however many wait", async () => {
    const before = server.asked.get("good") as number;
    const tokens = await Promise.all(Array.from({ length: 30 }, (_, jti) => good({ jti: String(jti) })));
    const answers = await Promise.all(tokens.map((token) => ask(token)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(30).fill(200));
    // Once by the sidecar, and by each of the gateway's two workers; unknown keys may have made them ask again.
    expect(server.asked.get("good")).toBe(before);
  });

  scenario("is not asked where nobody said that it may be", async () => {
    const shut = await ask(await good(), "/", "-H", "Host: shut:8080");
    expect([shut.status, shut.body]).toEqual([401, "Jwks remote fetch is failed"]);
  });

  scenario("may change its keys, and those that it had before are worth nothing then", async () => {
    const old = await good({ jti: "old" });
    expect((await ask(old)).status).toBe(200);
    const next = await newIssuer("next");
    server.keys = [next.publicJwk];
    const token = await next.sign({ iss: ISSUER, aud: "web" });
    await until("the new key is taken", async () => (await ask(token)).status === 200);
    expect((await ask(old)).status).toBe(401);
    expect((await ask(await good({ jti: "older" }))).status).toBe(401);
    server.keys = [issuer.publicJwk, next.publicJwk];
  });

  scenario("may go, and what it said last holds for a while", async () => {
    const next = await newIssuer("late");
    server.keys = [next.publicJwk];
    const token = () => next.sign({ iss: ISSUER, aud: "web", jti: crypto.randomUUID() });
    await until("the key is taken", async () => (await ask(await token())).status === 200);
    await server.stop();
    expect((await ask(await token())).status).toBe(200);
    expect((await ask(await stranger.sign({ iss: ISSUER, aud: "web" }))).status).toBe(401);
  });
});

scenario("a server of keys that fails is asked less often than tokens come", async () => {
  const asked = BAD_PATHS.map((path) => server.asked.get(path) ?? 0);
  expect(Math.min(...asked)).toBeGreaterThan(0);
  expect(Math.max(...asked)).toBeLessThan(TOKENS_EACH * PROTOCOLS.length);
});

scenario("no token stands in a log or a metric", async () => {
  const token = await good({ jti: "canary" });
  const [, ask] = PROTOCOLS[0] as readonly [string, Ask];
  await ask(token);
  await ask(null, `/?access_token=${token}x`);
  const metrics = await Promise.all(
    [CLIENT, WEB, GATEWAY].map(async (address) =>
      await (await fetch(`http://${address}:15090/stats/prometheus`)).text()
    ),
  );
  const said = [everythingSaid(), ...metrics].join("\n");
  expect(said).toContain("istio_requests_total");
  expect(token.split(".").filter((part) => said.includes(part))).toEqual([]);
});
