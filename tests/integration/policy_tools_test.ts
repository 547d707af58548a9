/** Policies that are made from the calls of a running mesh, and tried on them before anybody enforces them. */
import { beforeAll, expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEcho } from "./apps.ts";
import { afterwards, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.56");
const FRONT = mesh.address(10);
const WEB = mesh.address(11);
const CART = mesh.address(12);
const candidates = mkdtempSync(join(tmpdir(), "bowline-it-policies-"));

endEverythingAfterwards();
afterwards(() => rmSync(candidates, { recursive: true }));

beforeAll(async () => {
  mesh.write("services.yaml", service("web"));
  mesh.write("workloads.yaml", workload("front", FRONT), workload("cart", CART), workload("web", WEB));
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/front", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11, workers: 2 }),
    mesh.startSidecar("shop/cart", { at: 12 }),
    startEcho("web", WEB),
  ]);
  await mesh.untilSynced(3);
});

async function call(from: string, path: string, ...args: readonly string[]): Promise<number> {
  const answer = await curl("-H", "Host: web:8080", ...args, `http://${from}:15001${path}`);
  return answer.status;
}

function policy(...args: readonly string[]) {
  return bowline(["policy", ...args, "--data", mesh.controlPlaneData]);
}

function candidate(name: string, text: string): string {
  const path = join(candidates, name);
  writeFileSync(path, text);
  return path;
}

/** The policies for what was seen, once that is so many calls. */
async function suggested(calls: number): Promise<string> {
  await until(`${calls} calls are reported`, async () => {
    const { stdout } = await policy("suggest", "-o", "json");
    return stdout !== "" && JSON.parse(stdout).policies[0]?.calls >= calls;
  });
  return (await policy("suggest")).stdout;
}

const DENY_ORDERS = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-orders, namespace: shop }
spec:
  action: DENY
  rules:
    - to: [{ operation: { paths: ["/orders*"] } }]
      when: [{ key: "request.headers[x-role]", notValues: [clerk] }]
    - from: [{ source: { principals: ["*/sa/cart"] } }]
`;

scenario("nobody suggests a policy where nothing was called", async () => {
  const { code, stdout, stderr } = await policy("suggest");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("No call to any workload was let through since ");
});

scenario("a suggested policy lets through what was seen, and refuses the rest", async () => {
  for (const path of ["/orders?id=1", "/orders?id=2", "/stock"]) expect(await call(FRONT, path)).toBe(200);
  expect(await call(CART, "/stock", "-X", "PUT")).toBe(200);
  const text = await suggested(4);
  expect(text).toContain("# For shop/web: 3 kinds of 4 calls.\n");
  const file = candidate("suggested.yaml", text);

  const simulated = await policy("simulate", file);
  expect([simulated.code, simulated.stdout]).toEqual([0, ""]);
  expect(simulated.stderr).toContain("shop/web-callers: of 4 calls let through since ");
  expect(simulated.stderr).toContain("0 would be denied");

  mesh.write("suggested.yaml", text);
  await until("the policy holds", async () => (await call(FRONT, "/never")) === 403);
  for (const path of ["/orders?id=3", "/stock"]) expect(await call(FRONT, path)).toBe(200);
  expect(await call(CART, "/stock", "-X", "PUT")).toBe(200);
  expect(await call(CART, "/stock")).toBe(403);
  expect(await call(FRONT, "/stock", "-X", "PUT")).toBe(403);
});

scenario("a simulation names what would be denied and by which rule, and what nobody can know", async () => {
  const file = candidate("no-orders.yaml", DENY_ORDERS);
  const { code, stdout, stderr } = await policy("simulate", file);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /denied +\d+ +shop\/cart +shop\/web +PUT :8080\/stock +rule 1 of AuthorizationPolicy shop\/no-orders \(\S+no-orders.yaml:9\) denies it/,
  );
  expect(stdout).toMatch(
    /unknown +\d+ +shop\/front +shop\/web +GET :8080\/orders +it depends on the header x-role/,
  );
  expect(stdout).not.toContain("/stock  rule 0");
  expect(stderr).toMatch(
    /shop\/no-orders: of \d+ calls let through since \S+ \d+ would be denied, \d+ may be/,
  );
});

scenario("tap tells of each call as it ends, with the rule that decided", async () => {
  const tapped = bowline(["tap", "shop/web", "--count", "6", "-o", "json", "--data", mesh.controlPlaneData]);
  let ended = false;
  void tapped.then(() => ended = true);
  await until("six calls are told", async () => {
    await call(FRONT, "/stock?secret=1");
    await call(FRONT, "/never?secret=1");
    await call(FRONT, "/shop.Orders/Get", "-X", "POST", "-H", "content-type: application/grpc");
    return ended;
  });
  const { code, stdout } = await tapped;
  expect(code).toBe(0);
  expect(stdout).not.toContain("secret");
  const told = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const allowed = told.find(({ path }) => path === "/stock");
  expect(allowed).toMatchObject({
    reporter: "destination",
    source: "shop/front",
    destination: "shop/web",
    mtls: true,
    status: 200,
    verdict: { allowed: true, policy: "shop/web-callers", file: "suggested.yaml" },
  });
  const denied = told.find(({ path }) => path === "/never");
  expect(denied).toMatchObject({
    status: 403,
    details: "rbac_access_denied_matched_policy[none]",
    verdict: { allowed: false, policy: null },
  });
  const called = told.find(({ path }) => path === "/shop.Orders/Get");
  expect(called).toMatchObject({ protocol: "grpc", status: 200, grpcStatus: 7, verdict: { allowed: false } });
});

scenario("tap says why it cannot watch", async () => {
  const badName = await bowline(["tap", "Web", "--data", mesh.controlPlaneData]);
  expect([badName.code, badName.stdout]).toEqual([65, ""]);
  expect(badName.stderr).toContain('A workload is NAMESPACE/NAME in lower case, not "Web"');
  const misspelt = await bowline(["tap", "shop/wbe", "--data", mesh.controlPlaneData]);
  expect([misspelt.code, misspelt.stdout]).toEqual([65, ""]);
  expect(misspelt.stderr).toContain("No workload is shop/wbe; did you mean shop/web?");
  expect((await bowline(["tap", "--data", candidates])).code).toBe(69);
});

scenario("suggest names the workload that was meant", async () => {
  const misspelt = await policy("suggest", "shop/wbe");
  expect([misspelt.code, misspelt.stdout]).toEqual([65, ""]);
  expect(misspelt.stderr).toContain("No workload is shop/wbe; did you mean shop/web?");
});

scenario("a simulation shows what a change would let through that was refused", async () => {
  const open = candidate(
    "open.yaml",
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n" +
      "metadata: { name: web-callers, namespace: shop }\nspec: { rules: [{}] }\n",
  );
  // What was refused is told with the next report.
  await until("the refused calls are on record", async () => {
    const { code, stdout } = await policy("simulate", open);
    return code === 0 && /allowed +\d+ +shop\/front +shop\/web +GET :8080\/never/.test(stdout);
  });
});

scenario("what cannot be tried is refused with its place", async () => {
  const bad = candidate("bad.yaml", DENY_ORDERS.replace("action: DENY", "action: DENI"));
  const refused = await policy("simulate", bad);
  expect([refused.code, refused.stdout]).toEqual([65, ""]);
  expect(refused.stderr).toContain("bad.yaml:5:11");
  const other = await policy("simulate", candidate("service.yaml", service("web")));
  expect(other.code).toBe(65);
  expect(other.stderr).toContain("only an AuthorizationPolicy can be tried on calls");
  expect((await policy("simulate", join(candidates, "missing.yaml"))).code).toBe(65);
  expect((await policy("simulate", candidate("empty.yaml", ""))).code).toBe(65);
});
