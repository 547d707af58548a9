import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import { NO_CONDITIONS, type Route, type RouteMatch, type StringMatch } from "../../../../src/model/route.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { INDEXED_ROUTES_MIN } from "../../../../src/proxy/route/path_index.ts";
import { explainRoutes, findRoute, RouteTable } from "../../../../src/proxy/route/route_table.ts";
import { virtualHost } from "../data_plane.ts";
import { forward } from "../routed_plane.ts";
import { requestHead } from "../request_head.ts";

function route(index: number, matches: readonly RouteMatch[]): Route {
  return { name: String(index), origin: null, matches, action: forward() };
}

function hostOf(routes: readonly Route[]) {
  const found = new RouteTable([virtualHost({ routes })], () => null).virtualHost("shop");
  if (found === undefined) throw new Error("There is no virtual host");
  return found;
}

function head(path: string, method = "GET"): RequestHead {
  return requestHead({ method, authority: "shop", path });
}

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/A", "/ab", "/b", "/b/1", "/b?a", "/a?b=/a/b", "*", ""];

describe("PathIndex", () => {
  test("gives what asking each route in turn gives, whatever the routes", () => {
    const random = new Prng(7);
    const pick = <Item>(items: readonly Item[]) => items[random.below(items.length)] as Item;
    const condition = (): StringMatch | null =>
      pick<StringMatch | null>([
        null,
        { type: "regex", value: "/a.*" },
        ...["exact", "exact", "prefix", "prefix"].map((type) =>
          ({ type, value: pick(PATHS) }) as StringMatch
        ),
      ]);
    const block = (): RouteMatch => ({
      ...NO_CONDITIONS,
      path: condition(),
      ignorePathCase: random.below(8) === 0,
      method: random.below(3) === 0 ? { type: "exact", value: "PUT" } : null,
    });
    let matched = 0;
    for (let round = 0; round < 300; round++) {
      const count = INDEXED_ROUTES_MIN + random.below(12);
      const host = hostOf(
        Array.from(
          { length: count },
          (_, i) =>
            route(i, random.below(20) === 0 ? [] : Array.from({ length: 1 + random.below(3) }, block)),
        ),
      );
      for (const path of PATHS) {
        const request = head(path, pick(["GET", "PUT"]));
        const inTurn = explainRoutes(host, request).find((verdict) => verdict.matched);
        expect(findRoute(host, request)?.route.name).toBe(inTurn?.route.name);
        if (inTurn !== undefined) matched++;
      }
    }
    expect(matched).toBeGreaterThan(1_000);
  });

  test("of a thousand rules asks few, where it asks for paths", () => {
    let asked = 0;
    const routes = Array.from(
      { length: 1_000 },
      (_, i) => route(i, [{ ...NO_CONDITIONS, path: { type: "prefix", value: `/v${i}/` } }]),
    );
    const { index } = hostOf(routes);
    const found = index?.find("/v777/x", head("/v777/x"), routes, () => {
      asked++;
      return true;
    });
    expect([found?.name, asked]).toEqual(["777", 1]);
  });
});
