/** Random policies through the executable, with random calls over HTTP/1.1 and HTTP/2: each as Istio's reference says. */
import { beforeAll, expect } from "bun:test";
import { allows, type Call, ROOT_NAMESPACE } from "../fuzz/istio_policy.ts";
import { documentOf, PolicyMaker, TOKENS } from "../fuzz/random_policies.ts";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { type Issuer, newIssuer } from "./key_server.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const SEED = 8;
const WORLDS = 8;
const CALLS = 12;

const mesh = new Mesh("127.0.92");
const WEB = mesh.address(11);
const CALLERS = { ann: mesh.address(12), bob: mesh.address(13) } as const;
let issuer: Issuer;

endEverythingAfterwards();

beforeAll(async () => {
  issuer = await newIssuer("one");
  const jwks = JSON.stringify({ keys: [issuer.publicJwk] });
  mesh.write(
    "mesh.yaml",
    ...[service("web"), workload("web", WEB), workload("ann", CALLERS.ann), workload("bob", CALLERS.bob)],
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [{ issuer: iss, jwks: '${jwks}' }] }
`,
  );
  await mesh.startControlPlane("--trust-domain", "mesh.test");
  await Promise.all([
    mesh.startSidecar("shop/web", { at: 11 }),
    mesh.startSidecar("shop/ann", { at: 12 }),
    mesh.startSidecar("shop/bob", { at: 13 }),
    startEcho("web", WEB),
  ]);
  await mesh.untilSynced(3);
});

async function ask(
  { peer, http }: Call,
  path: string,
  version: string,
): Promise<Awaited<ReturnType<typeof curl>>> {
  const caller = CALLERS[peer?.serviceAccount as keyof typeof CALLERS];
  const fields = (http?.headers ?? []).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const token = http?.token == null ? [] : ["-H", `Authorization: Bearer ${await issuer.sign(http.token)}`];
  const head = ["-X", http?.method ?? "GET", "-H", `Host: ${http?.authority}`, ...fields, ...token];
  return await curl(version, "--path-as-is", "--globoff", ...head, `http://${caller}:15001${path}`);
}

scenario("the executable says of random calls what Istio's reference says", async () => {
  const outcomes = { allowed: 0, refused: 0 };
  for (let world = 0; world < WORLDS; world++) {
    const maker = new PolicyMaker(SEED * 1_000 + world);
    // One decides in any case.
    const action = maker.pick(["ALLOW", "DENY"] as const);
    const decisive = { ...maker.policy(), namespace: "shop", dryRun: false, selector: {}, action };
    const policies = [decisive, ...maker.some(0, 2, () => maker.policy())];
    // The first that is asked, so that its name tells which policies hold.
    const marker = documentOf(
      {
        ...{ namespace: ROOT_NAMESPACE, dryRun: false, selector: {}, action: "DENY" },
        rules: [{ to: [{ operation: { paths: [`/holds-${world}`] } }] }],
      },
      0,
    );
    mesh.write(
      "policies.yaml",
      ...[marker, ...policies.map((one, at) => documentOf(one, at + 1))].map((one) => `${one}\n`),
    );
    const call = (): Call => {
      const made = maker.call(false);
      const peer = { namespace: "shop", serviceAccount: maker.pick(["ann", "bob"]) };
      const http = made.http && {
        ...made.http,
        authority: maker.pick(["web", "web.shop", "web:8080", "WEB"]),
        token: maker.pick([null, TOKENS[0] as Record<string, unknown>]),
      };
      return { ...made, peer, http, sourceIp: "127.0.0.1", destinationIp: WEB, port: 8080 };
    };
    const probe: Call = { ...call(), peer: { namespace: "shop", serviceAccount: "ann" }, http: null };
    const ping = { ...probe, http: { method: "GET", path: "", authority: "web", headers: [], token: null } };
    await until("they hold", async () => {
      const { headers } = await ask(ping, `/holds-${world}`, "--http1.1");
      return headers["x-bowline-reply"]?.[0]?.includes(`ns[${ROOT_NAMESPACE}]-policy[p0]`) ?? false;
    });
    for (let i = 0; i < CALLS; i++) {
      const asked = call();
      if (asked.http === null) continue;
      const allowed = allows(policies, { namespace: "shop", labels: { app: "web", version: "v1" } }, asked);
      for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
        const { status } = await ask(asked, asked.http.path, version);
        if (status !== (allowed ? 200 : 403)) {
          throw new Error(`${status}: ${JSON.stringify({ asked, policies })}`);
        }
      }
      outcomes[allowed ? "allowed" : "refused"]++;
    }
  }
  expect(Math.min(outcomes.allowed, outcomes.refused)).toBeGreaterThan(CALLS);
});
