import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS, type RouteMatch } from "../../../../src/model/route.ts";
import type { VirtualHost } from "../../../../src/model/snapshot.ts";
import { sampleRequests } from "../../../../src/proxy/explain/sample_request.ts";
import { findRoute, RouteTable } from "../../../../src/proxy/route/route_table.ts";

function hostOf(...matches: Partial<RouteMatch>[]): VirtualHost {
  const service = { host: "cart", name: "cart", namespace: "shop" };
  return {
    kind: "virtualHost",
    name: "cart:80",
    service,
    port: 80,
    domains: ["cart"],
    routes: matches.map((match) => ({
      name: null,
      origin: null,
      matches: [{ ...NO_CONDITIONS, ...match }],
      action: { type: "forward", destinations: [{ cluster: "c", weight: 1 }] },
    })),
  };
}

describe("sampleRequests()", () => {
  test("sampleRequests() makes up a request that each rule takes", () => {
    const host = hostOf(
      { path: { type: "exact", value: "/a" }, method: { type: "exact", value: "POST" } },
      { headers: [{ name: "x-user", match: { type: "prefix", value: "ann" } }] },
      { queryParams: [{ name: "debug", match: { type: "present" } }] },
      { headers: [{ name: "agent", match: { type: "regex", value: ".*Safari.*" } }] },
    );
    const compiled = new RouteTable([host], () => null).virtualHost("cart");
    const taken = sampleRequests(host).map((head) => {
      const found = compiled && findRoute(compiled, head);
      return found === undefined ? -1 : host.routes.indexOf(found.route);
    });
    expect(taken).toEqual([-1, 0, 1, 2, 3]);
  });

  test("sampleRequests() leaves out what it cannot make up", () => {
    const host = hostOf({ path: { type: "regex", value: "/[a-z]{3}/(x|y)+" } });
    expect(sampleRequests(host).map(({ path }) => path)).toEqual(["/"]);
  });
});
