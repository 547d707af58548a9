/** Policies with the action CUSTOM: a real server is asked, and answers in all the ways that servers have. */
import { beforeAll, describe, expect } from "bun:test";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Echo, sha256, startEcho } from "./apps.ts";
import { afterwards, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { authorizationPolicy, service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.57");
const CLIENT = mesh.address(10);
const AUTHZ = mesh.address(20);
/** Bytes of a body that the server of `partial` sees. */
const BODY_MAX = 65_536;
/** The same of `whole`: as many as have left curl before there can be an answer. */
const WHOLE_MAX = 1_024;

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const asked: Asked[] = [];

/** The request says in `x-decision` what is to be answered. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  allow: (response) => {
    response.writeHead(200, { "x-user": "ann", "x-told": "yes", "x-other": "1", "x-bowline-port": "1" });
    response.end("this is not read");
  },
  deny: (response) => {
    response.writeHead(401, {
      "www-authenticate": "Basic",
      "x-why": "no badge",
      "content-type": "text/html",
    });
    response.end("<p>no entry</p>");
  },
  redirect: (response) => response.writeHead(302, { location: "https://login.test/" }).end(),
  error: (response) => response.writeHead(500).end("broken"),
  never: () => {},
  hang: (response) => response.writeHead(403).write("a denial that never ends"),
  huge: (response) => response.writeHead(403, { "x-why": "long" }).end(Buffer.alloc(1_048_576, 0x61)),
  "huge fields": (response) => response.writeHead(200, { "x-user": "a".repeat(20_000) }).end(),
};

let authz: Server;

function startAuthz(): Promise<void> {
  authz = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      asked.push({ method, path, headers, body: Buffer.concat(chunks) });
      ANSWERS[String(headers["x-decision"])]?.(response);
    });
  });
  return new Promise((resolve) => authz.listen(9000, AUTHZ, resolve));
}

function stopAuthz(): Promise<void> {
  authz.closeAllConnections();
  return new Promise((resolve) => authz.close(() => resolve()));
}

const PROVIDER = `service: authz.shop.svc.cluster.local
      port: 9000
      timeout: 0.5s
      pathPrefix: /check
      includeRequestHeadersInCheck: [x-decision, authorization]
      includeAdditionalHeadersInCheck: { x-mesh: shop }
      headersToUpstreamOnAllow: [x-user]
      headersToDownstreamOnAllow: [x-told]`;

const MESH_CONFIG = `apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: { name: mesh, namespace: istio-system }
spec:
  extensionProviders:
  - name: plain
    envoyExtAuthzHttp:
      ${PROVIDER}
  - name: open
    envoyExtAuthzHttp:
      ${PROVIDER}
      failOpen: true
  - name: partial
    envoyExtAuthzHttp:
      ${PROVIDER}
      includeRequestBodyInCheck: { maxRequestBytes: ${BODY_MAX}, allowPartialMessage: true }
  - name: whole
    envoyExtAuthzHttp:
      ${PROVIDER}
      statusOnError: "503"
      includeRequestBodyInCheck: { maxRequestBytes: ${WHOLE_MAX} }
`;

function policy(app: string, name: string, spec: string): string {
  return authorizationPolicy(`${app}-${name}`, `{ selector: { matchLabels: { app: ${app} } }, ${spec} }`);
}

const APPS = ["plain", "open", "partial", "whole", "unknown"];

endEverythingAfterwards();
afterwards(stopAuthz);

beforeAll(async () => {
  mesh.write("mesh.yaml", MESH_CONFIG);
  mesh.write("services.yaml", ...APPS.map((app) => service(app)), service("authz", 9000));
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT),
    workload("authz", AUTHZ, { serviceAccount: null }),
    ...APPS.map((app, index) => workload(app, mesh.address(11 + index))),
  );
  mesh.write(
    "policies.yaml",
    ...APPS.map((app) =>
      policy(
        app,
        "ask",
        `action: CUSTOM, provider: { name: ${app} }, rules: [{ to: [{ operation: { paths: ["/asked*"] } }] }]`,
      )
    ),
    policy(
      "plain",
      "deny",
      `action: DENY, rules: [{ when: [{ key: "request.headers[x-user]", notValues: [ann] }], to: [{ operation: { paths: ["/asked*"] } }] }]`,
    ),
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    ...APPS.flatMap((app, index) => [
      mesh.startSidecar(`shop/${app}`, { at: 11 + index }),
      startEcho(app, mesh.address(11 + index)),
    ]),
    startAuthz(),
  ]);
  await mesh.untilSynced(APPS.length + 1);
});

function ask(app: string, decision: string, ...args: readonly string[]) {
  const fields = ["-H", `Host: ${app}:8080`, "-H", `x-decision: ${decision}`];
  return curl(...fields, ...args, `http://${CLIENT}:15001/asked/x?y=1`);
}

const PROTOCOLS = [
  ["HTTP/1.1", ["--http1.1"], false],
  ["HTTP/2", ["--http2-prior-knowledge"], false],
  ["gRPC", ["--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"], true],
] as const;

for (const [protocol, version, grpc] of PROTOCOLS) {
  describe(protocol, () => {
    /** Status, or for gRPC its own and of HTTP what it stands for. */
    const outcome = async (app: string, decision: string, ...args: string[]) => {
      const answer = await ask(app, decision, ...version, ...args);
      const flag = answer.headers["x-bowline-reply"]?.[0]?.split(" ")[0] ?? "-";
      return {
        ...answer,
        seen: [grpc ? Number(answer.headers["grpc-status"]?.[0] ?? 0) : answer.status, flag],
      };
    };
    const code = (status: number, grpcStatus: number) => grpc ? grpcStatus : status;

    scenario("an allowed request goes on with what the server adds, and so does its answer", async () => {
      asked.length = 0;
      const answer = await outcome(
        "plain",
        "allow",
        "-H",
        "x-user: eve",
        "-H",
        "authorization: Bearer a",
        "-H",
        "x-private: 1",
      );
      expect([answer.status, answer.headers["x-told"]]).toEqual([200, ["yes"]]);
      const { path, headers } = JSON.parse(answer.body) as Echo;
      expect([path, headers["x-user"], headers["x-other"]]).toEqual(["/asked/x?y=1", "ann", undefined]);
      const [question] = asked;
      expect([question?.method, question?.path]).toEqual([grpc ? "POST" : "GET", "/check/asked/x?y=1"]);
      expect(question?.headers).toMatchObject({
        host: "plain:8080",
        authorization: "Bearer a",
        "x-mesh": "shop",
      });
      const unasked = Object.keys(question?.headers ?? {}).filter((name) =>
        /^x-(private|bowline|user)/.test(name)
      );
      expect([asked.length, unasked, question?.body.length]).toEqual([1, [], 0]);
    });

    scenario("what no rule is about is not asked about", async () => {
      asked.length = 0;
      const answer = await curl(...version, "-H", "Host: plain:8080", `http://${CLIENT}:15001/free`);
      expect([answer.status, asked.length]).toEqual([200, 0]);
    });

    scenario("a denial is answered as the server words it", async () => {
      const denied = await outcome("plain", "deny");
      expect(denied.seen).toEqual([code(401, 16), "UAEX"]);
      if (!grpc) {
        expect([denied.body, denied.headers["content-type"]]).toEqual(["<p>no entry</p>", ["text/html"]]);
      }
      expect([denied.headers["www-authenticate"], denied.headers["x-why"]]).toEqual([["Basic"], [
        "no badge",
      ]]);
      const redirected = await outcome("plain", "redirect");
      expect(redirected.headers["location"]).toEqual(["https://login.test/"]);
    });

    scenario("who does not answer, answers late, or with an error or too much, allows nothing", async () => {
      for (const decision of ["error", "never", "hang", "huge fields"]) {
        expect([decision, (await outcome("plain", decision)).seen]).toEqual([decision, [
          code(403, 7),
          "UAEX",
        ]]);
      }
      const huge = await outcome("plain", "huge");
      expect([huge.seen, huge.body, huge.headers["x-why"]]).toEqual([[code(403, 7), "UAEX"], "", ["long"]]);
    });

    scenario("with failOpen an error opens, and a denial does not", async () => {
      for (const decision of ["error", "never", "huge fields"]) {
        expect([decision, (await outcome("open", decision)).status]).toEqual([decision, 200]);
      }
      for (const decision of ["deny", "huge"]) {
        expect([decision, (await outcome("open", decision)).seen[1]]).toEqual([decision, "UAEX"]);
      }
    });

    scenario("a provider that there is not denies what it would be asked about", async () => {
      expect((await outcome("unknown", "allow")).seen[0]).toBe(code(403, 7));
    });

    scenario("a body goes on as it came, whatever part of it was shown", async () => {
      for (const length of [1, BODY_MAX, BODY_MAX + 1, 400_000]) {
        const body = Buffer.alloc(length, `${length} `);
        const file = mesh.file("body", body.toString("latin1"));
        for (const app of ["plain", "partial"]) {
          asked.length = 0;
          const answer = await ask(app, "allow", ...version, "--data-binary", `@${file}`);
          const { bodyBytes, bodyHash } = JSON.parse(answer.body) as Echo;
          expect([app, length, bodyBytes, bodyHash]).toEqual([app, length, length, sha256(body)]);
          const shown = app === "plain" ? Buffer.alloc(0) : body.subarray(0, BODY_MAX);
          expect(asked[0]?.body.equals(shown)).toBe(true);
          const partial = app === "plain" ? undefined : String(length > BODY_MAX);
          expect(asked[0]?.headers["x-envoy-auth-partial-body"]).toBe(partial);
        }
      }
    });

    scenario("a body that has to be shown whole may not be longer than that", async () => {
      for (const [length, status] of [[WHOLE_MAX, 200], [WHOLE_MAX + 1, 413]] as const) {
        const file = mesh.file("body", "a".repeat(length));
        for (const framing of [[], ["-H", "transfer-encoding: chunked"]]) {
          const answer = await ask("whole", "allow", ...version, ...framing, "--data-binary", `@${file}`);
          if (!grpc || status === 200) expect([length, answer.status]).toEqual([length, status]);
          else expect([length, answer.headers["grpc-status"]]).toEqual([length, ["2"]]);
        }
      }
    });
  });
}

describe("without the server", () => {
  scenario(
    "nothing passes that it would be asked about, but for failOpen; and all is well when it is back",
    async () => {
      await stopAuthz();
      expect((await ask("plain", "allow")).status).toBe(403);
      expect((await ask("whole", "allow")).status).toBe(503);
      expect((await ask("open", "allow")).status).toBe(200);
      await startAuthz();
      await until("it is asked again", async () => (await ask("plain", "allow")).status === 200);
    },
  );
});

scenario(
  "what was denied is on record: a simulation says who would be asked, and nothing suggests to allow it",
  async () => {
    const call = (decision: string, path: string) =>
      curl("-H", "Host: plain:8080", "-H", `x-decision: ${decision}`, `http://${CLIENT}:15001/asked/${path}`);
    expect((await call("deny", "denied")).status).toBe(401);
    expect((await call("error", "failed")).status).toBe(403);
    const run = (...args: readonly string[]) => bowline(["policy", ...args, "--data", mesh.controlPlaneData]);
    const candidate = mesh.file(
      "candidate.yaml",
      policy("plain", "ask", `action: CUSTOM, provider: { name: plain }, rules: [{}]`),
    );
    const asking = (path: string) =>
      new RegExp(
        `unknown +1 +shop/client +shop/plain +GET :8080/asked/${path} +plain is asked first ` +
          String
            .raw`\(rule 0 of AuthorizationPolicy shop/plain-ask \(\S+candidate\.yaml:4\)\), and its answer`,
      );
    await until("both are on record", async () => {
      const { stdout } = await run("simulate", candidate);
      return asking("denied").test(stdout) && asking("failed").test(stdout);
    });
    const { stdout } = await run("suggest", "shop/plain");
    expect(stdout).toContain("/asked/x");
    expect(stdout).not.toMatch(/denied|failed/);
  },
);
