/** Where requests go: names, rules, weights, subsets, and what a caller gets when there is no way. */
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl, type CurlAnswer, runCurl, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const mesh = new Mesh("127.0.2");
const CLIENT = mesh.address(10);
const CATALOG_V1 = mesh.address(11);
const CATALOG_V2 = mesh.address(12);
const LEDGER = mesh.address(13);
/** Not a part of the mesh, and known to nobody. */
const OUTSIDE = mesh.address(30);
/** Each behind another name or wildcard. */
const WILD = [31, 32, 33, 34].map((last) => mesh.address(last));
/** Nobody listens there. */
const NOBODY = mesh.address(66);

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("services.yaml", service("catalog"), service("ledger", 8080, "billing"), service("empty"));
  mesh.write("more.yaml", service("dead"), service("picky"));
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT),
    workload("catalog-v1", CATALOG_V1, { app: "catalog" }),
    workload("catalog-v2", CATALOG_V2, { app: "catalog", version: "v2" }),
    workload("ledger", LEDGER, { namespace: "billing", serviceAccount: null }),
    workload("dead", NOBODY, { serviceAccount: null }),
  );
  mesh.write(
    "routes.yaml",
    subsets("catalog"),
    virtualService(
      "catalog",
      `
- match: [{ headers: { x-group: { regex: "beta-[0-9]+" } } }]
  route: [{ destination: { host: catalog, subset: v2 } }]
- match: [{ uri: { prefix: /no-such-subset } }]
  route: [{ destination: { host: catalog, subset: v9 } }]
- match: [{ uri: { prefix: /split } }]
  route:
  - { destination: { host: catalog, subset: v1 }, weight: 75 }
  - { destination: { host: catalog, subset: v2 }, weight: 25 }
- match: [{ uri: { exact: /exactly } }, { uri: { regex: "/item/[0-9]+" } }]
  route: [{ destination: { host: catalog, subset: v2 } }]
- route: [{ destination: { host: catalog, subset: v1 } }]
`,
    ),
    virtualService(
      "picky",
      `
- match: [{ uri: { exact: /only-this } }]
  route: [{ destination: { host: catalog, subset: v1 } }]
`,
    ),
  );
  mesh.write(
    "wildcards.yaml",
    ...Object.entries({ "*.wild.test": 1, "*.a.wild.test": 2, "x.a.wild.test": 3, "*-dev.wild.test": 4 })
      .map(([host, number]) => outsideHost(host, WILD[number - 1] as string)),
    virtualService(
      "dispatched",
      `
- match: [{ uri: { prefix: /rule } }]
  directResponse: { status: 418 }
- route: [{ destination: { host: x.a.wild.test } }]
`,
    ).replace("hosts: [dispatched]", 'hosts: ["*.b.wild.test", exact.c.wild.test]'),
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/catalog-v1", { at: 11 }),
    mesh.startSidecar("shop/catalog-v2", { at: 12 }),
    startEcho("catalog-v1", CATALOG_V1),
    startEcho("catalog-v2", CATALOG_V2),
    startEcho("ledger", LEDGER),
    startEcho("outside", OUTSIDE),
    ...WILD.map((address, index) => startEcho(`wild-${index + 1}`, address)),
  ]);
  await mesh.untilSynced(3);
});

/** A ServiceEntry for a host or wildcard outside of the mesh. */
function outsideHost(host: string, address: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replace("*", "any").replaceAll(".", "-")}, namespace: shop }
spec:
  hosts: ["${host}"]
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }]
  resolution: STATIC
  endpoints: [{ address: ${address} }]
`;
}

function echo(answer: CurlAnswer): Echo {
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as Echo;
}

/** Who answered. */
async function app(host: string, path = "/", ...args: readonly string[]): Promise<string> {
  return echo(await viaSidecar(CLIENT, host, path, ...args)).app;
}

/** Status, and what the proxy says about its own answer. */
async function failure(host: string, path = "/"): Promise<string> {
  const { status, headers } = await viaSidecar(CLIENT, host, path);
  return `${status} ${headers["x-bowline-reply"]?.[0]}`;
}

describe("a service answers to every name that it has", () => {
  for (
    const name of [
      ...["catalog", "catalog:8080", "catalog.shop", "catalog.shop:8080", "catalog.shop.svc"],
      ...[
        "catalog.shop.svc.cluster.local",
        "catalog.shop.svc.cluster.local:8080",
        "CATALOG",
        "Catalog.Shop:8080",
      ],
      ...["catalog.shop.svc.cluster.local.", "catalog.shop.svc.cluster.local.:8080"],
    ]
  ) {
    scenario(`Host: ${name}`, async () => expect(await app(name)).toBe("catalog-v1"));
  }

  scenario("a service of another namespace, without a sidecar, is called with its namespace", async () => {
    expect(await app("ledger.billing")).toBe("ledger");
    expect(await app("ledger.billing.svc.cluster.local:8080")).toBe("ledger");
  });

  scenario("a proxy request in absolute form goes where its target says", async () => {
    const answer = await curl("-x", `http://${CLIENT}:15001`, "http://catalog:8080/by-proxy?a=b");
    expect(echo(answer)).toMatchObject({ app: "catalog-v1", path: "/by-proxy?a=b" });
  });

  scenario("the target of an absolute form beats the Host field", async () => {
    const proxy = `http://${CLIENT}:15001`;
    const answer = await curl("-x", proxy, "-H", "Host: ledger.billing", "http://catalog:8080/");
    expect(echo(answer).app).toBe("catalog-v1");
  });
});

describe("what nobody declared passes through", () => {
  scenario("a plain server that the mesh does not know", async () => {
    expect(await app(`${OUTSIDE}:8080`, "/x")).toBe("outside");
    expect(echo(await curl("-x", `http://${CLIENT}:15001`, `http://${OUTSIDE}:8080/`)).app).toBe("outside");
  });

  scenario("nobody there: 503 UF", async () => {
    expect(await failure(`${NOBODY}:8080`)).toStartWith("503 UF ");
  });

  scenario("the proxy itself is no destination: 404 NR instead of a loop", async () => {
    expect(await failure(`${CLIENT}:15001`)).toStartWith("404 NR ");
  });
});

describe("rules", () => {
  scenario("a header that matches a regex as a whole", async () => {
    expect(await app("catalog", "/", "-H", "x-group: beta-12")).toBe("catalog-v2");
    expect(await app("catalog", "/", "-H", "X-Group: beta-12")).toBe("catalog-v2");
    expect(await app("catalog", "/", "-H", "x-group: beta-12a")).toBe("catalog-v1");
    expect(await app("catalog", "/", "-H", "x-group: alpha")).toBe("catalog-v1");
  });

  scenario("an exact path, and a regex on the path without its query", async () => {
    expect(await app("catalog", "/exactly?a=b")).toBe("catalog-v2");
    expect(await app("catalog", "/exactly/not")).toBe("catalog-v1");
    expect(await app("catalog", "/item/17")).toBe("catalog-v2");
    expect(await app("catalog", "/item/17/reviews")).toBe("catalog-v1");
  });

  scenario("the first rule that matches wins", async () => {
    expect(await app("catalog", "/no-such-subset", "-H", "x-group: beta-1")).toBe("catalog-v2");
  });

  scenario("weights divide the traffic", async () => {
    const urls = `http://${CLIENT}:15001/split/[1-400]`;
    const { stdout, code } = await runCurl(["--silent", "-H", "Host: catalog", urls]);
    expect(code).toBe(0);
    const count = (name: string) => stdout.split(`"app":"${name}"`).length - 1;
    expect(count("catalog-v1") + count("catalog-v2")).toBe(400);
    // 75 %, give or take five standard deviations.
    expect(count("catalog-v1")).toBeGreaterThan(256);
    expect(count("catalog-v1")).toBeLessThan(344);
  });
});

describe("explain, from the files alone, says where requests really go", () => {
  for (
    const [path, headers] of [
      ["/", []],
      ["/exactly", []],
      ["/item/17", []],
      ["/", ["-H", "x-group: beta-12"]],
      ["/", ["-H", "x-group: beta-12a"]],
    ] as const
  ) {
    scenario(`${path} ${headers.join(" ")}`, async () => {
      const url = `http://catalog:8080${path}`;
      const args = [
        "explain",
        "--config",
        mesh.config,
        "--from",
        "shop/client",
        url,
        "-o",
        "json",
        ...headers,
      ];
      const { code, stdout } = await bowline(args);
      expect(code).toBe(0);
      const { destinations } = JSON.parse(stdout) as {
        destinations: { endpoints: { workload: string; mtls: boolean }[] }[];
      };
      const endpoints = destinations.flatMap(({ endpoints }) => endpoints);
      expect(endpoints).toHaveLength(1);
      expect(endpoints[0]).toMatchObject({
        workload: `shop/${await app("catalog", path, ...headers)}`,
        mtls: true,
      });
    });
  }
});

describe("wildcards", () => {
  scenario("the narrowest host or wildcard takes a name", async () => {
    for (
      const [host, expected] of [
        ["y.wild.test", "wild-1"],
        ["y.z.wild.test", "wild-1"],
        ["a.wild.test", "wild-1"],
        ["y.a.wild.test", "wild-2"],
        ["z.y.a.wild.test", "wild-2"],
        ["x.a.wild.test", "wild-3"],
        ["X.A.Wild.Test:80", "wild-3"],
        ["web-dev.wild.test", "wild-4"],
        ["web-dev.a.wild.test", "wild-2"],
      ] as const
    ) {
      expect([host, await app(host)]).toEqual([host, expected]);
    }
  });

  scenario(
    "rules for a wildcard, or for one host under another's, go before where it is defined",
    async () => {
      for (const host of ["y.b.wild.test", "exact.c.wild.test"]) {
        expect(await app(host)).toBe("wild-3");
        expect((await viaSidecar(CLIENT, host, "/rule")).status).toBe(418);
      }
      expect(await app("other.c.wild.test", "/rule")).toBe("wild-1");
    },
  );

  scenario("a Sidecar takes hosts by wildcards, and with one host the rules for its wildcard", async () => {
    const sees = async (...hosts: readonly string[]) => {
      mesh.write(
        "sidecar.yaml",
        `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: client, namespace: shop }
spec:
  workloadSelector: { labels: { app: client } }
  egress: [{ hosts: [${hosts.map((host) => `"${host}"`).join(", ")}] }]
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
`,
      );
      const names = ["catalog", "ledger.billing", "y.wild.test", "x.a.wild.test", "y.b.wild.test"];
      return async (expected: readonly number[]) =>
        await until(`${hosts} are seen`, async () => {
          const statuses = await Promise.all(
            names.map(async (name) => (await viaSidecar(CLIENT, name)).status),
          );
          return Bun.deepEquals(statuses, [...expected]);
        });
    };
    await (await sees("./*"))([200, 502, 200, 200, 200]);
    await (await sees("~/*"))([502, 502, 502, 502, 502]);
    await (await sees("*/x.a.wild.test"))([502, 502, 502, 200, 502]);
    // It brings the rule, and that where it leads.
    await (await sees("*/y.b.wild.test"))([502, 502, 502, 200, 200]);
    await (await sees("*/*.wild.test", "billing/*"))([502, 200, 200, 200, 200]);
    mesh.write("sidecar.yaml", "");
    await until("all is back", async () => (await viaSidecar(CLIENT, "catalog")).status === 200);
  });
});

describe("no way", () => {
  scenario("a subset that nothing defines: 503 NC", async () => {
    expect(await failure("catalog", "/no-such-subset")).toBe(
      "503 NC cluster_not_found; outbound shop/client",
    );
  });

  scenario("a service without a workload: 503 UH", async () => {
    expect(await failure("empty")).toBe("503 UH no_healthy_upstream; outbound shop/client");
    expect((await viaSidecar(CLIENT, "empty")).body).toBe("no healthy upstream");
  });

  scenario("a workload that does not listen: 503 UF, after two more attempts", async () => {
    expect(await failure("dead")).toStartWith("503 UF,URX ");
  });

  scenario("no rule that matches: 404 NR", async () => {
    expect(await failure("picky", "/something-else")).toBe("404 NR route_not_found; outbound shop/client");
    expect(await app("picky", "/only-this")).toBe("catalog-v1");
  });

  scenario("a gRPC client gets a gRPC status", async () => {
    const { status, headers } = await viaSidecar(
      CLIENT,
      "empty",
      "/",
      "-H",
      "content-type: application/grpc",
    );
    expect([status, headers["grpc-status"]?.[0]]).toEqual([200, "14"]);
  });
});
