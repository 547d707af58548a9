/** The fields of a rule in the words of the snapshot: each trap of VirtualService. */
import { describe, expect, test } from "bun:test";
import type { Route } from "../../../src/model/route.ts";
import { caller, FQDN, load, resource, service, snapshotFor, virtualHost } from "./fixture.ts";

const TO = "route: [{destination: {host: web}}]";

function routesOf(http: string, ...more: string[]): readonly Route[] {
  const rule = resource("VirtualService shop/r", `{hosts: [web], http: ${http}}`);
  const snapshot = snapshotFor(
    load(service("web", "shop"), service("other", "shop"), rule, ...more),
    caller("shop"),
  );
  return virtualHost(snapshot, `${FQDN}:8080`)?.routes ?? [];
}

function route(rule: string): Route {
  return routesOf(`[{${rule}}]`)[0] as Route;
}

function action(rule: string) {
  return route(`${TO}, ${rule}`).action;
}

describe("a plain rule", () => {
  test("says nothing of what it leaves to its default", () => {
    expect(route(TO)).toEqual({
      name: null,
      origin: expect.anything(),
      matches: [],
      action: { type: "forward", destinations: [{ cluster: `outbound|8080||${FQDN}`, weight: 100 }] },
    });
  });
});

describe("timeout and retries", () => {
  test("timeout 0 is none", () => {
    expect(action("timeout: 1.5s")).toMatchObject({ timeoutMs: 1_500 });
    expect(action("timeout: 0s")).not.toHaveProperty("timeoutMs");
  });

  test("a block without attempts switches retries off", () => {
    expect(action("retries: {}")).toMatchObject({ retries: { attempts: 0 } });
    expect(action("retries: {attempts: 0}")).toMatchObject({ retries: { attempts: 0 } });
  });

  test("a block with attempts alone has Istio's conditions", () => {
    expect(action("retries: {attempts: 3}")).toMatchObject({
      retries: {
        attempts: 3,
        retryOn: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
        retriableStatusCodes: [],
        perTryTimeoutMs: null,
        backoffBaseMs: 25,
        backoffMaxMs: 250,
        avoidPreviousHosts: true,
        remoteLocalities: false,
      },
    });
  });

  test("numbers in retryOn are statuses", () => {
    const retries = "{attempts: 1, retryOn: '503, reset', perTryTimeout: 2s, backoff: 100ms, " +
      "retryIgnorePreviousHosts: false, retryRemoteLocalities: true}";
    expect(action(`retries: ${retries}`)).toMatchObject({
      retries: {
        retryOn: ["reset"],
        retriableStatusCodes: [503],
        perTryTimeoutMs: 2_000,
        backoffBaseMs: 100,
        backoffMaxMs: 1_000,
        avoidPreviousHosts: false,
        remoteLocalities: true,
      },
    });
  });
});

describe("fault", () => {
  test("a missing percentage is 0, never 100", () => {
    expect(route(`${TO}, fault: {abort: {httpStatus: 503}, delay: {fixedDelay: 1s}}`).fault).toEqual({
      delay: { percentage: 0, fixedMs: 1_000 },
      abort: { percentage: 0, httpStatus: 503 },
    });
  });

  test("percentages are fractions, and the deprecated percent counts for a delay", () => {
    expect(route(`${TO}, fault: {delay: {percent: 5, fixedDelay: 1s}}`).fault?.delay?.percentage).toBe(5);
    const abort = "{percentage: {value: 0.1}, grpcStatus: UNAVAILABLE}";
    expect(route(`${TO}, fault: {abort: ${abort}}`).fault?.abort).toEqual({
      percentage: 0.1,
      grpcStatus: 14,
    });
  });
});

describe("mirrors", () => {
  test("a missing percentage is 100, an explicit 0 is none", () => {
    const other = "outbound|8080||other.shop.svc.cluster.local";
    expect(action("mirror: {host: other}")).toMatchObject({ mirrors: [{ cluster: other, percentage: 100 }] });
    expect(action("mirror: {host: other}, mirrorPercentage: {value: 0}")).not.toHaveProperty("mirrors");
    expect(action("mirror: {host: other}, mirrorPercentage: {value: 0.5}")).toMatchObject({
      mirrors: [{ percentage: 0.5 }],
    });
    expect(
      action(
        "mirrors: [{destination: {host: other}}, {destination: {host: web, subset: v2}, percentage: {value: 10}}]",
      ),
    ).toMatchObject({
      mirrors: [{ cluster: other, percentage: 100 }, { cluster: `outbound|8080|v2|${FQDN}`, percentage: 10 }],
    });
  });
});

describe("rewrite and redirect", () => {
  test("a rewrite has an authority, and a path from one source", () => {
    expect(action("rewrite: {uri: /v2, authority: b}")).toMatchObject({
      rewrite: { authority: "b", path: { type: "matched", value: "/v2" } },
    });
    expect(action("rewrite: {uriRegexRewrite: {match: /a/(.*), rewrite: '/\\\\1'}}")).toMatchObject({
      rewrite: { path: { type: "regex" } },
    });
  });

  test("a redirect's port: as written, or that of the virtual host", () => {
    expect(route("redirect: {uri: /b, port: 81}").action).toEqual({
      type: "redirect",
      code: 301,
      path: { type: "full", value: "/b" },
      authority: null,
      scheme: null,
      port: 81,
    });
    expect(route("redirect: {uri: /b, derivePort: FROM_REQUEST_PORT, redirectCode: 307}").action)
      .toMatchObject({
        code: 307,
        port: 8080,
      });
    expect(route("redirect: {uri: /b, derivePort: FROM_PROTOCOL_DEFAULT}").action).toMatchObject({
      port: null,
    });
  });

  test("prefixRewrite needs a match with a prefix", () => {
    const redirect = "redirect: {prefixRewrite: /b}";
    expect(route(`match: [{uri: {prefix: /a}}], ${redirect}`).action).toMatchObject({
      path: { type: "matched", value: "/b" },
    });
    for (const match of ["[]", "[{uri: {exact: /a}}]", "[{uri: {prefix: /a}}, {method: {exact: GET}}]"]) {
      expect(() => route(`match: ${match}, ${redirect}`)).toThrow("needs a match with a prefix");
    }
  });

  test("a direct response has a text, bytes, or nothing", () => {
    const body = (text: string) => route(`directResponse: {status: 503${text}}`).action;
    expect(body(", body: {string: no}")).toEqual({
      type: "directResponse",
      status: 503,
      body: { text: "no" },
    });
    expect(body(", body: {bytes: bm8=}")).toMatchObject({ body: { base64: "bm8=" } });
    expect(body("")).toMatchObject({ body: null });
  });
});

describe("headers", () => {
  const HEADERS = "headers: {request: {set: {X-A: '1', ':authority': b}, add: {x-b: '50%%'}, remove: [x-c]}}";

  test("operations of the rule; the authority among them is a rewrite", () => {
    const { requestHeaders, responseHeaders, action } = route(`${TO}, ${HEADERS}`);
    expect(requestHeaders).toEqual({ set: [["x-a", "1"]], add: [["x-b", "50%"]], remove: ["x-c"] });
    expect(responseHeaders).toBeUndefined();
    expect(action).toMatchObject({ rewrite: { authority: "b", path: null } });
  });

  test("operations of a single destination come after those of the rule", () => {
    const single = `{destination: {host: web}, headers: {request: {set: {x-a: '2', host: c}}}}`;
    const found = route(`route: [${single}], ${HEADERS}`);
    expect(found.requestHeaders?.set).toEqual([["x-a", "1"], ["x-a", "2"]]);
    expect(found.action).toMatchObject({ rewrite: { authority: "b" } });
    expect(route(`route: [${single}]`).action).toMatchObject({ rewrite: { authority: "c" } });
  });

  test("operations of one destination among several are its own", () => {
    const own =
      "{destination: {host: web}, weight: 1, headers: {request: {set: {host: c}}, response: {remove: [x-a]}}}";
    const found = route(`route: [${own}, {destination: {host: other}, weight: 1}]`);
    expect(found.action).toMatchObject({
      destinations: [{ authority: "c", responseHeaders: { remove: ["x-a"] } }, { weight: 1 }],
    });
    expect(found).not.toHaveProperty("responseHeaders");
  });

  test.each(["content-length", "Transfer-Encoding", "connection", "x-bowline-port"])(
    "%s cannot be edited",
    (name) => {
      expect(() => route(`${TO}, headers: {response: {set: {${name}: '1'}}}`)).toThrow("cannot be changed");
    },
  );

  test("commands of Envoy's go to the proxy as they are written, those of the rule before the destination's", () => {
    const to = "route: [{destination: {host: web}, headers: {request: {add: {x-b: '%REQ(b)%'}}}}]";
    expect(route(`${to}, headers: {request: {set: {x-a: '%START_TIME%', x-c: c}}}`).requestHeaders).toEqual({
      set: [["x-c", "c"]],
      add: [],
      remove: [],
      formatted: [
        { name: "x-a", replaces: true, text: "%START_TIME%" },
        { name: "x-b", replaces: false, text: "%REQ(b)%" },
      ],
    });
    expect(() => route(`${TO}, headers: {request: {set: {x-a: '%HOSTNAME%'}}}`)).toThrow("not implemented");
  });
});

test("corsPolicy has lists as the browser reads them", () => {
  const policy =
    "{allowOrigins: [{prefix: 'https://'}], allowMethods: [GET, PUT], allowHeaders: [X-A, x-b], maxAge: 1m, allowCredentials: true}";
  expect(route(`${TO}, corsPolicy: ${policy}`).cors).toEqual({
    allowOrigins: [{ type: "prefix", value: "https://" }],
    allowMethods: "GET,PUT",
    allowHeaders: "x-a,x-b",
    exposeHeaders: "",
    maxAgeSeconds: 60,
    allowCredentials: true,
    unmatchedPreflights: "FORWARD",
  });
});

test("mirrors infer their port as destinations do", () => {
  const rule = resource(
    "VirtualService shop/r",
    "{hosts: [web], http: [{route: [{destination: {host: web}}], mirror: {host: copy}}]}",
  );
  const resources = load(service("web", "shop"), service("copy", "shop", "{name: http, port: 9999}"), rule);
  const [found] = virtualHost(snapshotFor(resources, caller("shop")), `${FQDN}:8080`)?.routes ?? [];
  expect(found?.action).toMatchObject({
    mirrors: [{ cluster: "outbound|9999||copy.shop.svc.cluster.local" }],
  });
});
