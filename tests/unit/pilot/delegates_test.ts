/** Delegates: one level of VirtualServices in the place of a rule, narrowed by its match. */
import { describe, expect, test } from "bun:test";
import type { Route } from "../../../src/model/route.ts";
import { caller, load, resource, service, snapshotFor, virtualHost } from "./fixture.ts";

const TO = "route: [{destination: {host: web}}]";

function vs(name: string, namespace: string, spec: string): string {
  return resource(`VirtualService ${namespace}/${name}`, spec);
}

function routesOf(...documents: string[]): readonly Route[] {
  const snapshot = snapshotFor(
    load(service("web", "shop"), service("web", "team"), ...documents),
    caller("shop"),
  );
  return virtualHost(snapshot, "web.shop.svc.cluster.local:8080")?.routes ?? [];
}

/** The match blocks that are left of one of the root's and one of the delegate's. */
function merged(root: string, leaf: string): Route["matches"] | "dropped" {
  const [first] = routesOf(
    vs("root", "shop", `{hosts: [web], http: [{match: [${root}], delegate: {name: leaf}}]}`),
    vs("leaf", "shop", `{http: [{match: [${leaf}], ${TO}}]}`),
  );
  return first?.origin == null ? "dropped" : first.matches;
}

describe("a delegate", () => {
  test("stands in the place of the rule, by its own file and in its own namespace", () => {
    const routes = routesOf(
      vs(
        "root",
        "shop",
        `{hosts: [web], http: [{match: [{uri: {prefix: /team}}], delegate: {name: leaf, namespace: team}}, {${TO}}]}`,
      ),
      vs("leaf", "team", `{http: [{match: [{uri: {prefix: /team/a}}], ${TO}}, {name: rest, ${TO}}]}`),
    );
    expect(routes.map(({ origin }) => [origin?.virtualService, origin?.rule])).toEqual([
      ["team/leaf", 0],
      ["team/leaf", 1],
      ["shop/root", 1],
    ]);
    expect(routes.map(({ action }) => action.type === "forward" ? action.destinations[0]?.cluster : null))
      .toEqual([
        "outbound|8080||web.team.svc.cluster.local",
        "outbound|8080||web.team.svc.cluster.local",
        "outbound|8080||web.shop.svc.cluster.local",
      ]);
    expect(routes[1]?.matches.map(({ path }) => path)).toEqual([{ type: "prefix", value: "/team" }]);
  });

  test("has what it lacks from the rule, and joins the names", () => {
    const [route] = routesOf(
      vs(
        "root",
        "shop",
        "{hosts: [web], http: [{name: a, match: [{name: m, method: {exact: GET}}], delegate: {name: leaf}, timeout: 5s, headers: {request: {set: {x: '1'}}}}]}",
      ),
      vs("leaf", "shop", `{http: [{name: b, match: [{name: n, uri: {prefix: /b}}], timeout: 1s, ${TO}}]}`),
    );
    expect(route).toMatchObject({
      name: "a-b",
      matches: [{ name: "m-n", method: { value: "GET" }, path: { value: "/b" } }],
      action: { timeoutMs: 1_000 },
      requestHeaders: { set: [["x", "1"]] },
    });
  });

  test("that is missing, has hosts, or is not exported here has no routes", () => {
    const root = vs("root", "shop", "{hosts: [web], http: [{delegate: {name: leaf, namespace: team}}]}");
    const isDefault = (...documents: string[]) => routesOf(root, ...documents)[0]?.name === "default";
    expect(isDefault()).toBe(true);
    expect(isDefault(vs("leaf", "team", `{hosts: [else], http: [{${TO}}]}`))).toBe(true);
    expect(isDefault(vs("leaf", "team", `{exportTo: ['.'], http: [{${TO}}]}`))).toBe(true);
    expect(isDefault(vs("leaf", "team", `{exportTo: [shop], http: [{${TO}}]}`))).toBe(false);
  });

  test("cannot delegate further", () => {
    expect(() => routesOf(vs("leaf", "shop", "{http: [{delegate: {name: other}}]}"))).toThrow(
      "cannot delegate further",
    );
  });

  test("has the rule's mirror and gateways by the names of the rule's namespace", () => {
    const [route] = routesOf(
      vs(
        "root",
        "shop",
        "{hosts: [web], gateways: [mesh, front], http: [{match: [{gateways: [mesh, front]}], " +
          "delegate: {name: leaf, namespace: team}, mirrors: [{destination: {host: web}}]}]}",
      ),
      vs("leaf", "team", `{http: [{match: [{gateways: [mesh, shop/front]}], ${TO}}]}`),
    );
    expect(route?.action).toMatchObject({
      destinations: [{ cluster: "outbound|8080||web.team.svc.cluster.local" }],
      mirrors: [{ cluster: "outbound|8080||web.shop.svc.cluster.local" }],
    });
  });

  test("serves nobody by itself", () => {
    expect(routesOf(vs("leaf", "shop", `{http: [{${TO}}]}`))[0]?.name).toBe("default");
  });
});

describe("the match of a delegate's rule", () => {
  test.each([
    ["{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}"],
    ["{uri: {prefix: /a}}", "{uri: {exact: /abc}}"],
    ["{uri: {exact: /a}}", "{uri: {exact: /a}}"],
    ["{uri: {prefix: /a}}", "{method: {exact: GET}}"],
    ["{headers: {x: {exact: '1'}}}", "{headers: {y: {exact: '2'}}}"],
    ["{sourceLabels: {}}", "{sourceLabels: {}}"],
    ["{headers: {x: {}}}", "{headers: {y: {exact: '2'}}}"],
    ["{sourceNamespace: shop}", "{sourceNamespace: shop}"],
    ["{method: {exact: GET}}", "{sourceNamespace: shop}"],
  ])("%s has %s inside of it", (root, leaf) => {
    expect(merged(root, leaf)).toHaveLength(1);
  });

  test.each([
    ["{uri: {prefix: /a}}", "{uri: {prefix: /b}}"],
    ["{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}"],
    ["{uri: {exact: /a}}", "{uri: {prefix: /a}}"],
    ["{uri: {exact: /a}}", "{uri: {exact: /b}}"],
    ["{uri: {regex: '/a.*'}}", "{uri: {exact: /ab}}"],
    ["{uri: {prefix: /a}}", "{uri: {regex: '/a.*'}}"],
    ["{headers: {x: {exact: '1'}}}", "{headers: {x: {exact: '2'}}}"],
    ["{port: 8080}", "{port: 80}"],
    ["{ignoreUriCase: true, uri: {prefix: /a}}", "{uri: {prefix: /a}}"],
    ["{gateways: [mesh]}", "{gateways: [front]}"],
    ["{headers: {x: {}}}", "{headers: {x: {exact: '1'}}}"],
    ["{headers: {x: {exact: '1'}}}", "{headers: {x: {}}}"],
    ["{headers: {x: {}}}", "{headers: {x: {}}}"],
    ["{headers: {x: {regex: '*'}}}", "{headers: {x: {prefix: a}}}"],
    ["{withoutHeaders: {x: {}}}", "{withoutHeaders: {x: {}}}"],
    ["{withoutHeaders: {x: {exact: ''}}}", "{withoutHeaders: {x: {exact: ''}}}"],
    ["{queryParams: {q: {}}}", "{queryParams: {q: {prefix: a}}}"],
    ["{sourceNamespace: shop}", "{uri: {prefix: /a}}"],
    ["{sourceNamespace: shop}", "{sourceNamespace: team}"],
    ["{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}"],
  ])("%s has %s not inside of it: the rule is dropped", (root, leaf) => {
    expect(merged(root, leaf)).toBe("dropped");
  });

  test("merges with each block that it narrows, and must narrow one", () => {
    const root = "{uri: {prefix: /a}}, {method: {exact: GET}}";
    expect(merged(root, "{uri: {prefix: /a/b}}")).toHaveLength(2);
    expect(merged(root, "{uri: {prefix: /c}}")).toHaveLength(1);
    expect(merged(root, "{uri: {prefix: /c}, method: {exact: PUT}}")).toBe("dropped");
  });
});
