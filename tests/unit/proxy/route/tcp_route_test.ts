import { describe, expect, test } from "bun:test";
import type { TcpMatch } from "../../../../src/model/tcp_route.ts";
import { compileTcpRoute, findTcpRoute, namesServer } from "../../../../src/proxy/route/tcp_route.ts";

/** Routes to clusters 0, 1, … with these alternatives each. */
function found(routes: readonly (readonly Partial<TcpMatch>[])[]) {
  const compiled = routes.map((matches, index) =>
    compileTcpRoute({
      origin: null,
      matches: matches.map((match) => ({ serverNames: [], addresses: [], ...match })),
      destinations: [{ cluster: String(index), weight: 1 }],
    }, (cluster) => cluster)
  );
  return (serverName: string | null, address: string | null) =>
    findTcpRoute(compiled, serverName, address)?.targets.targets[0];
}

describe("findTcpRoute()", () => {
  test("findTcpRoute() takes the first route of which a match holds", () => {
    const find = found([[{ serverNames: ["a.test"] }, { serverNames: ["*.b.test"] }], []]);
    expect(find("a.test", null)).toBe("0");
    expect(find("x.b.test", null)).toBe("0");
    expect(find("b.test", null)).toBe("1");
    expect(find(null, null)).toBe("1");
  });

  test("findTcpRoute() asks for both the name and the address", () => {
    const find = found([[{ serverNames: ["a.test"], addresses: ["10.0.0.0/8", "192.0.2.7"] }]]);
    expect(find("a.test", "10.1.2.3")).toBe("0");
    expect(find("a.test", "192.0.2.7")).toBe("0");
    expect(find("a.test", "192.0.2.8")).toBeUndefined();
    expect(find("b.test", "10.1.2.3")).toBeUndefined();
    expect(find("a.test", null)).toBeUndefined();
  });

  test("a route without matches, as older snapshots have it, takes everything", () => {
    const route = compileTcpRoute(
      { origin: null, destinations: [{ cluster: "a", weight: 1 }] },
      (name) => name,
    );
    expect(findTcpRoute([route], null, null)).toBe(route);
  });
});

describe("namesServer()", () => {
  test.each([
    [["a.test"], "a.test", true],
    [["*.test"], "a.b.test", true],
    [["*.test"], "test", false],
    [["*.b.test"], "a.test", false],
    [["*"], "a.test", true],
    [[], "a.test", false],
  ])("namesServer(%p, %s) is %p", (names, serverName, expected) => {
    expect(namesServer(new Set(names), serverName)).toBe(expected);
  });
});
