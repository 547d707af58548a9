/** From an authority to a virtual host, from a request to a route, from weights to a target. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import { NO_CONDITIONS, type Route, type RouteMatch } from "../../../../src/model/route.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import {
  canonicalAuthority,
  explainRoutes,
  findRoute,
  pickDestination,
  RouteTable,
} from "../../../../src/proxy/route/route_table.ts";
import { virtualHost } from "../data_plane.ts";
import { requestHead } from "../request_head.ts";

function head(path: string, more: Partial<RequestHead> = {}): RequestHead {
  return requestHead({ authority: "shop", path, ...more });
}

function route(cluster: string, ...matches: Partial<RouteMatch>[]): Route {
  return {
    name: cluster,
    origin: null,
    matches: matches.map((match) => ({ ...NO_CONDITIONS, ...match })),
    action: { type: "forward", destinations: [{ cluster, weight: 1 }] },
  };
}

function table(domains: Record<string, string[]>, routes: Route[] = []): RouteTable<string> {
  const hosts = Object.entries(domains).map(([name, all]) => virtualHost({ name, domains: all, routes }));
  return new RouteTable(hosts, (cluster) => cluster.startsWith("no-") ? null : cluster);
}

describe("RouteTable.virtualHost()", () => {
  const routes = table({
    exact: ["shop", "shop:80", "a.example.com", "[::1]:80"],
    short: ["*.com", "*.com:80"],
    long: ["*.example.com"],
  });
  const name = (authority: string) => routes.virtualHost(authority)?.virtualHost.name;

  test.each([
    ["shop", "exact"],
    ["shop:80", "exact"],
    ["SHOP", "exact"],
    ["Shop:80", "exact"],
    ["shop.", "exact"],
    ["SHOP.:80", "exact"],
    // RFC 3986 §6.2.3: an empty port is the default one; and a number is the same however it is written.
    ["shop:", "exact"],
    ["shop:080", "exact"],
    ["shop:00080", "exact"],
    ["[::1]:80", "exact"],
    ["a.example.com", "exact"],
    ["b.example.com", "long"],
    ["a.b.example.com", "long"],
    ["B.EXAMPLE.COM.", "long"],
    ["example.com", "short"],
    ["other.com:80", "short"],
  ])("RouteTable.virtualHost() finds %p at %p", (authority, expected) => {
    expect(name(authority)).toBe(expected);
  });

  test.each([
    "",
    "shop:81",
    "shop2",
    "xshop",
    "com",
    ".",
    ":80",
    "b.example.com:80x",
    "example.org",
    "[::1]",
    "[::1]:81",
  ])(
    "RouteTable.virtualHost() does not find %p",
    (authority) => expect(name(authority)).toBeUndefined(),
  );
});

describe("canonicalAuthority()", () => {
  test.each([
    ["A.b", "a.b"],
    ["a.b.", "a.b"],
    ["a.b.:80", "a.b:80"],
    ["a:", "a"],
    ["a.:", "a"],
    ["a:0080", "a:80"],
    ["a:0", "a:0"],
    ["[2001:DB8::1]", "[2001:db8::1]"],
    ["[2001:DB8::1]:080", "[2001:db8::1]:80"],
    ["", ""],
  ])("canonicalAuthority(%p) is %p", (authority, expected) => {
    expect(canonicalAuthority(authority)).toBe(expected);
  });
});

describe("findRoute()", () => {
  const find = (routes: Route[], request: RequestHead) => {
    const host = table({ one: ["shop"] }, routes).virtualHost("shop");
    if (host === undefined) throw new Error("There is no host");
    return findRoute(host, request)?.route.name;
  };

  test("findRoute() takes the first rule that matches, and none when none does", () => {
    const routes = [
      route("first", { path: { type: "prefix", value: "/a" }, method: { type: "exact", value: "POST" } }),
      route("second", { path: { type: "prefix", value: "/a" } }, { path: { type: "exact", value: "/z" } }),
      route("third", { path: { type: "prefix", value: "/" } }),
    ];
    expect(find(routes, head("/ab", { method: "POST" }))).toBe("first");
    expect(find(routes, head("/ab"))).toBe("second");
    expect(find(routes, head("/z?x"))).toBe("second");
    expect(find(routes, head("/zz"))).toBe("third");
    expect(find(routes.slice(0, 2), head("/zz"))).toBeUndefined();
    expect(find([route("all"), ...routes], head("/ab"))).toBe("all");
  });

  test("explainRoutes() says of each rule why, up to the one that matches", () => {
    const routes = [
      route("a", { path: { type: "exact", value: "/a" } }, { method: { type: "exact", value: "PUT" } }),
      route("b"),
      route("c"),
    ];
    const host = table({ one: ["shop"] }, routes).virtualHost("shop");
    if (host === undefined) throw new Error("There is no host");
    expect(explainRoutes(host, head("/x")).map(({ matched, why }) => [matched, why])).toEqual([
      [false, 'the path has to be "/a", and it is "/x"; or the method has to be "PUT", and it is "GET"'],
      [true, "no match block: matches everything"],
    ]);
  });

  test("RouteTable refuses a regex that does not compile", () => {
    for (const value of ["(", "a(?=b)", "(a)\\1", "[z-a]"]) {
      expect(() => table({ one: ["a"] }, [route("x", { path: { type: "regex", value } })])).toThrow();
    }
  });
});

describe("pickDestination()", () => {
  function picks(weights: number[]): Record<string, number> {
    const action = {
      type: "forward" as const,
      destinations: weights.map((weight, i) => ({ cluster: i === 9 ? "no-cluster" : `c${i}`, weight })),
    };
    const host = table({ one: ["shop"] }, [{ ...route("x"), action }]).virtualHost("shop");
    const compiled = host?.routes[0];
    if (compiled?.action.type !== "forward") throw new Error("There is no route");
    const random = new Prng(5);
    const counts: Record<string, number> = {};
    for (let i = 0; i < 10_000; i++) {
      const target = String(pickDestination(compiled.action, random).target);
      counts[target] = (counts[target] ?? 0) + 1;
    }
    return counts;
  }

  test("pickDestination() follows the weights within three standard deviations, whatever they add up to", () => {
    for (const weights of [[90, 10], [9, 1], [900, 100], [50, 50], [1, 2], [99, 1], [75, 20, 5]]) {
      const counts = picks(weights);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const [index, weight] of weights.entries()) {
        const share = weight / total;
        const deviation = Math.sqrt(10_000 * share * (1 - share));
        expect(Math.abs((counts[`c${index}`] ?? 0) - 10_000 * share)).toBeLessThan(3 * deviation);
      }
    }
  });

  test("pickDestination() gives all to a single destination, whatever its weight", () => {
    expect(picks([0])).toEqual({ c0: 10_000 });
    expect(picks([7])).toEqual({ c0: 10_000 });
  });

  test("pickDestination() gives null for a cluster that is not there", () => {
    expect(picks([1, 1, 1, 1, 1, 1, 1, 1, 1, 91])["null"]).toBeGreaterThan(8_900);
  });
});
