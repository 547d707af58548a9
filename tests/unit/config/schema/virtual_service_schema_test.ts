/** The traps of VirtualService that show in its schema, whether or not the mesh does what the fields say yet. */
import { describe, expect, test } from "bun:test";
import { DIRECT_BODY_BYTES_MAX, directResponse } from "../../../../src/config/schema/http_actions.ts";
import * as v from "valibot";
import { resolveGateway } from "../../../../src/config/schema/gateway_name.ts";
import { specFaults, specOf } from "../config_texts.ts";

const ROUTE = "route: [{destination: {host: a}}]";
const spec = (rule: string) => `hosts: [a]\nhttp: [{${rule}}]`;
const ruleOf = (rule: string) => specOf("VirtualService", spec(rule)).http[0];
const faultsOf = (rule: string) => specFaults("VirtualService", spec(rule));
const AT = "IST0106 spec.http[0]";

describe("actions", () => {
  test("a rule has exactly one of route, redirect, directResponse and delegate", () => {
    expect(faultsOf("match: []")[0]).toStartWith(`${AT}: the rule has no route`);
    expect(faultsOf(`${ROUTE}, redirect: {uri: /b}`)).toEqual([
      `${AT}: has both redirect and route, which exclude each other`,
    ]);
    expect(faultsOf(`${ROUTE}, directResponse: {status: 200}`)).toHaveLength(1);
    expect(faultsOf(`${ROUTE}, delegate: {name: b}`)).toHaveLength(1);
    expect(faultsOf("redirect: {uri: /b}, rewrite: {uri: /c}")).toHaveLength(1);
    expect(faultsOf("redirect: {uri: /b}, fault: {abort: {httpStatus: 500}}")).toHaveLength(1);
    for (
      const rule of [ROUTE, "redirect: {uri: /b}", "directResponse: {status: 200}", "delegate: {name: b}"]
    ) {
      expect(faultsOf(rule)).toEqual([]);
    }
  });

  test("a redirectCode that gives a rule no action in Istio is refused", () => {
    const faults = (code: number) => faultsOf(`redirect: {uri: /b, redirectCode: ${code}}`);
    for (const code of [301, 302, 303, 307, 308]) expect(faults(code)).toEqual([]);
    for (const code of [300, 304, 305, 399, 200]) {
      expect(faults(code)[0]).toStartWith(
        `${AT}.redirect.redirectCode: ${code} is not a code for a redirect`,
      );
    }
    expect(ruleOf("redirect: {uri: /b, redirectCode: 0}")?.redirect?.redirectCode).toBe(301);
    expect(ruleOf("redirect: {uri: /b}")?.redirect?.redirectCode).toBe(301);
  });

  test("a redirect leads elsewhere, and has its port from one place", () => {
    expect(faultsOf("redirect: {}")[0]).toContain("leads to where the request came from");
    expect(faultsOf("redirect: {port: 80, derivePort: FROM_REQUEST_PORT}")[0]).toContain(
      "both port and derivePort",
    );
    expect(faultsOf("redirect: {scheme: ftp}")[0]).toContain('"ftp" is not a scheme');
  });

  test("a direct response has a status and at most its limit of bytes", () => {
    const isAllowed = (length: number) =>
      v.is(directResponse, { status: 503, body: { string: "a".repeat(length) } });
    expect([DIRECT_BODY_BYTES_MAX, DIRECT_BODY_BYTES_MAX + 1].map(isAllowed)).toEqual([true, false]);
    for (const status of [199, 600]) expect(faultsOf(`directResponse: {status: ${status}}`)).toHaveLength(1);
    expect(faultsOf('directResponse: {status: 200, body: {bytes: "YQ="}}')[0]).toContain("in base 64");
  });

  test("a rewrite says the path in one way, and names only groups that the regex has", () => {
    const regex = (rewrite: string) =>
      `${ROUTE}, rewrite: {uriRegexRewrite: {match: "/(a)/.*", rewrite: '${rewrite}'}}`;
    expect(faultsOf(regex("/\\1"))).toEqual([]);
    expect(faultsOf(regex("/\\2"))).toEqual([
      `${AT}.rewrite.uriRegexRewrite.rewrite: names the group 2, and the regex has only 1`,
    ]);
    expect(faultsOf(`${ROUTE}, rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}`)[0]).toContain(
      "has both",
    );
    expect(faultsOf(`${ROUTE}, rewrite: {}`)[0]).toContain("changes nothing");
    expect(faultsOf(`${ROUTE}, rewrite: {uriRegexRewrite: {match: "(?=a)", rewrite: b}}`)[0]).toContain(
      "RE2",
    );
  });

  test("the authority is set in one place", () => {
    const rule = `${ROUTE}, rewrite: {authority: b}, headers: {request: {set: {Host: c}}}`;
    expect(faultsOf(rule)).toEqual([`${AT}: sets the authority both in rewrite and in headers.request`]);
  });
});

describe("headers", () => {
  const headersOf = (headers: string) => ruleOf(`${ROUTE}, headers: ${headers}`)?.headers;
  const headerFaults = (headers: string) => faultsOf(`${ROUTE}, headers: ${headers}`);

  test("names come out in lower case, and :authority as host", () => {
    expect(headersOf('{request: {set: {":authority": b, X-A: "1"}, remove: [X-B]}}')).toEqual({
      request: { set: { host: "b", "x-a": "1" }, add: {}, remove: ["x-b"] },
      response: null,
    });
  });

  test("keys that Istio ignores are refused", () => {
    expect(headerFaults('{request: {set: {":path": /}}}')[0]).toContain("Istio ignores it");
    expect(headerFaults("{request: {remove: [Host]}}")[0]).toContain('headers.request.remove[0]: "Host"');
    expect(headerFaults('{response: {set: {":authority": a}}}')).toHaveLength(1);
    expect(headerFaults('{response: {add: {"a b": a}}}')).toHaveLength(1);
    expect(headerFaults("{request: {set: {A: x, a: y}}}")[0]).toContain("is named twice");
  });

  test("a percent sign is written twice, and else begins a command, which stays as it is written", () => {
    expect(headersOf('{request: {set: {a: "5%%", b: "%%PROTOCOL%%"}}}')?.request?.set).toEqual({
      a: "5%",
      b: "%PROTOCOL%",
    });
    expect(headersOf('{request: {set: {A: "%PROTOCOL%", b: c}, add: {d: "5%% %REQ(X?:path):9%"}}}')?.request)
      .toEqual({
        set: { b: "c" },
        add: {},
        remove: [],
        formatted: [
          { name: "a", replaces: true, text: "%PROTOCOL%" },
          { name: "d", replaces: false, text: "5%% %REQ(X?:path):9%" },
        ],
      });
    expect(headerFaults('{response: {set: {a: "%RESP(b)% %RESPONSE_CODE%"}}}')).toEqual([]);
  });

  test("commands that are none, or lack something, are refused", () => {
    expect(headerFaults('{request: {set: {a: "%HOSTNAME%"}}}')).toEqual([
      "BOW0005 spec.http[0].headers.request.set.a: Envoy's %HOSTNAME% is not implemented in this version of bowline",
    ]);
    for (const text of ["%REQ%", "%REQ()%", "%REQ(a?b?c)%", "%REQ(x-bowline-port)%", "%PROTOCOL(a)%"]) {
      expect([text, headerFaults(`{request: {set: {a: "${text}"}}}`)]).toEqual([
        text,
        [expect.stringContaining("does not name what it is about")],
      ]);
    }
    for (const text of ["%RESP(b)%", "%RESPONSE_CODE%"]) {
      expect(headerFaults(`{request: {add: {a: "${text}"}}}`)[0]).toContain("which is not there yet");
    }
    expect(headerFaults('{request: {set: {host: "%REQ(a)%"}}}')[0]).toContain("without commands");
    for (const text of ["5%", "% %", "%req(a)%"]) {
      expect(headerFaults(`{request: {set: {a: "${text}"}}}`)[0]).toContain('write "%%"');
    }
    expect(headerFaults('{request: {set: {a: "x\\ny"}}}')[0]).toContain("no line breaks");
  });
});

describe("timeout and retries", () => {
  test("a timeout is in milliseconds, and absent or 0 it is disabled", () => {
    expect(ruleOf(`${ROUTE}, timeout: 1m30s`)?.timeout).toBe(90_000);
    expect(ruleOf(`${ROUTE}, timeout: 0s`)?.timeout).toBeNull();
    expect(ruleOf(ROUTE)?.timeout).toBeNull();
    for (const timeout of ["5", "1us", "-1s", "1.5ms", "five"]) {
      expect(faultsOf(`${ROUTE}, timeout: "${timeout}"`)).toHaveLength(1);
    }
  });

  test("absent retries are the mesh's, a block without attempts disables them", () => {
    expect(ruleOf(ROUTE)?.retries).toBeNull();
    expect(ruleOf(`${ROUTE}, retries: {}`)?.retries?.attempts).toBe(0);
    expect(faultsOf(`${ROUTE}, retries: {perTryTimeout: 1s}`)[0]).toContain("attempts is 0");
  });

  test("retries come out with Istio's defaults", () => {
    expect(ruleOf(`${ROUTE}, retries: {attempts: 3}`)?.retries).toEqual({
      attempts: 3,
      perTryTimeout: null,
      retryOn: {
        conditions: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
        statusCodes: [],
      },
      retryRemoteLocalities: false,
      retryIgnorePreviousHosts: true,
      backoff: 25,
    });
  });

  test("numbers in retryOn are statuses, other words are Envoy's conditions", () => {
    expect(ruleOf(`${ROUTE}, retries: {attempts: 1, retryOn: "503, reset"}`)?.retries?.retryOn).toEqual({
      conditions: ["reset"],
      statusCodes: [503],
    });
    expect(faultsOf(`${ROUTE}, retries: {attempts: 1, retryOn: "gateway-eror"}`)).toEqual([
      `${AT}.retries.retryOn: "gateway-eror" is not a condition for a retry; did you mean "gateway-error"?`,
    ]);
    expect(faultsOf(`${ROUTE}, retries: {attempts: 1, retryOn: "999"}`)).toHaveLength(1);
  });
});

describe("fault and mirror", () => {
  test("a missing percentage is 0 %, never 100", () => {
    expect(ruleOf(`${ROUTE}, fault: {abort: {httpStatus: 503}, delay: {fixedDelay: 7s}}`)?.fault).toEqual({
      abort: { percentage: 0, httpStatus: 503, grpcStatus: null },
      delay: { percentage: 0, fixedDelay: 7_000 },
    });
    expect(ruleOf(`${ROUTE}, fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {}}}`)?.fault?.abort)
      .toEqual({
        percentage: 0,
        httpStatus: null,
        grpcStatus: "UNAVAILABLE",
      });
  });

  test("the deprecated percent is honoured for a delay, and unknown for an abort", () => {
    const delay = (text: string) =>
      ruleOf(`${ROUTE}, fault: {delay: {fixedDelay: 1s, ${text}}}`)?.fault?.delay;
    expect(delay("percent: 50")?.percentage).toBe(50);
    expect(delay("percent: 50, percentage: {value: 0.1}")?.percentage).toBe(0.1);
    expect(faultsOf(`${ROUTE}, fault: {abort: {httpStatus: 500, percent: 50}}`)[0]).toStartWith("BOW0003 ");
  });

  test("a fault says what it does", () => {
    for (const fault of ["{}", "{abort: {}}", "{abort: {httpStatus: 500, grpcStatus: OK}}", "{delay: {}}"]) {
      expect(faultsOf(`${ROUTE}, fault: ${fault}`)).toHaveLength(1);
    }
    expect(faultsOf(`${ROUTE}, fault: {abort: {grpcStatus: NOTFOUND}}`)[0]).toContain("is not a gRPC status");
  });

  test("a percentage is a number from 0 to 100", () => {
    const faults = (value: number | string) =>
      faultsOf(`${ROUTE}, fault: {abort: {httpStatus: 500, percentage: {value: ${value}}}}`);
    for (const value of [0, 0.0001, 100]) expect(faults(value)).toEqual([]);
    for (const value of [-1, 0.00001, 100.1, ".nan"]) expect(faults(value)).toHaveLength(1);
  });

  test("an absent mirrorPercentage is 100 %, an explicit 0 is none", () => {
    const mirror = (text: string) => ruleOf(`${ROUTE}, mirror: {host: b}${text}`)?.mirror?.percentage;
    expect(mirror("")).toBe(100);
    expect(mirror(", mirrorPercentage: {value: 0}")).toBe(0);
    expect(mirror(", mirrorPercent: 25")).toBe(25);
    expect(mirror(", mirrorPercent: 25, mirrorPercentage: {value: 5.5}")).toBe(5.5);
    expect(ruleOf(`${ROUTE}, mirrors: [{destination: {host: b}}]`)?.mirrors[0]?.percentage).toBe(100);
    expect(faultsOf(`${ROUTE}, mirror: {host: b}, mirrors: [{destination: {host: c}}]`)).toHaveLength(1);
  });
});

describe("corsPolicy", () => {
  test("comes out with its defaults, and with the deprecated allowOrigin as exact matches", () => {
    const cors = ruleOf(`${ROUTE}, corsPolicy: {allowOrigin: ["*"], allowOrigins: [{prefix: "https://a"}]}`)
      ?.corsPolicy;
    expect(cors).toEqual({
      allowOrigins: [{ type: "prefix", value: "https://a" }, { type: "exact", value: "*" }],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      maxAge: null,
      allowCredentials: false,
      unmatchedPreflights: "FORWARD",
    });
  });

  test("refuses methods that are none, and ages that are not in seconds", () => {
    expect(faultsOf(`${ROUTE}, corsPolicy: {allowMethods: [FETCH]}`)[0]).toContain('"FETCH" is not a method');
    expect(faultsOf(`${ROUTE}, corsPolicy: {maxAge: 1500ms}`)[0]).toContain("whole seconds");
  });
});

describe("delegates", () => {
  test("a VirtualService without hosts is a delegate: no gateways, no delegate, HTTP alone", () => {
    expect(specOf("VirtualService", `http: [{${ROUTE}}]`)).toMatchObject({ hosts: [], gateways: [] });
    expect(specFaults("VirtualService", `gateways: [mesh]\nhttp: [{${ROUTE}}]`)[0]).toStartWith(
      "IST0106 spec.gateways",
    );
    expect(specFaults("VirtualService", "http: [{delegate: {name: a}}]")[0]).toStartWith(
      "IST0106 spec.http[0].delegate",
    );
    expect(specFaults("VirtualService", `tcp: [{${ROUTE}}]`)[0]).toStartWith("IST0106 spec.tcp");
  });
});

describe("tcp and tls", () => {
  test("a TLS rule needs sniHosts within the hosts", () => {
    const tls = (match: string) =>
      specFaults("VirtualService", `hosts: ["*.b.com"]\ntls: [{match: [${match}], ${ROUTE}}]`);
    expect(tls("{sniHosts: [a.b.com]}")).toEqual([]);
    expect(tls("{sniHosts: [a.c.com]}")).toEqual([
      'IST0106 spec.tls[0].match[0].sniHosts[0]: "a.c.com" is not among the hosts of this VirtualService (*.b.com)',
    ]);
    expect(tls("{port: 443}")[0]).toContain('"sniHosts" is required');
    expect(tls("")[0]).toContain("needs at least one match");
  });

  test("a rule has destinations, not all of weight 0", () => {
    expect(specFaults("VirtualService", "hosts: [a]\ntcp: [{}]")[0]).toContain("no route");
    const zero = "{destination: {host: a}, weight: 0}";
    expect(specFaults("VirtualService", `hosts: [a]\ntcp: [{route: [${zero}, ${zero}]}]`)[0]).toContain(
      "every weight",
    );
    expect(
      specOf("VirtualService", `hosts: [a]\ntcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], ${ROUTE}}]`)
        .tcp[0],
    )
      .toEqual({
        match: [{
          destinationSubnets: ["10.0.0.0/8"],
          port: null,
          sourceLabels: {},
          sourceNamespace: null,
          gateways: [],
        }],
        route: [{ destination: { host: "a", subset: null, port: null }, weight: 0 }],
      });
  });
});

describe("destinations", () => {
  test("a wildcard is the host of a ServiceEntry, and everything is none", () => {
    const faults = (host: string) =>
      specFaults("VirtualService", `hosts: [a]\nhttp: [{route: [{destination: {host: "${host}"}}]}]`);
    expect(faults("*.example.com")).toEqual([]);
    for (const host of ["*", "a.*", "*a.com", "ns/a"]) expect(faults(host)).toHaveLength(1);
  });
});

describe("hosts and gateways", () => {
  test("a host that another covers is a duplicate", () => {
    expect(specFaults("VirtualService", `hosts: ["*.com", a.com]\nhttp: [{${ROUTE}}]`)).toEqual([
      'IST0106 spec.hosts[1]: "a.com" and "*.com" are the same host, or one covers the other',
    ]);
  });

  test("a gateway is of the rule's own namespace, or of the one that its name says", () => {
    for (
      const [written, meant] of [
        ["a", "here/a"],
        ["./a", "here/a"],
        ["ns/a", "ns/a"],
        ["a.ns", "ns/a"],
        ["a.ns.svc.cluster.local", "ns/a"],
        ["mesh", "mesh"],
      ] as const
    ) {
      expect(resolveGateway(written, "here")).toBe(meant);
    }
  });

  test("gateways left out are the mesh, and names are checked", () => {
    expect(specOf("VirtualService", `hosts: [a]\nhttp: [{${ROUTE}}]`).gateways).toEqual(["mesh"]);
    for (const name of ["a", "./a", "ns/a", "a.ns.svc.cluster.local", "mesh"]) {
      expect(specFaults("VirtualService", `hosts: [a]\ngateways: [${name}]\nhttp: [{${ROUTE}}]`)).toEqual([]);
    }
    for (const name of ["A/b", "a/", "a/b/c", "a b"]) {
      expect(specFaults("VirtualService", `hosts: [a]\ngateways: ["${name}"]\nhttp: [{${ROUTE}}]`))
        .toHaveLength(1);
    }
  });

  test("names of headers in a match are checked, and pseudo-headers refused", () => {
    const match = (name: string) => faultsOf(`match: [{headers: {"${name}": {}}}], ${ROUTE}`)[0];
    expect(match("a b")).toContain("is not the name of a header");
    expect(match(":path")).toStartWith("BOW0005 ");
    for (
      const name of ["@request.auth.claims", "@request.auth.claims.", "@request.auth.claims[a", "@other"]
    ) {
      expect(match(name)).toContain("names no claim of a token");
    }
  });

  test("claims are named with dots or brackets, and keep their case", () => {
    const named = (name: string) =>
      specOf("VirtualService", `hosts: [a]\nhttp: [{match: [{headers: {"${name}": {exact: x}}}], ${ROUTE}}]`)
        .http[0]?.match[0]?.headers[0]?.name;
    expect(named("@request.auth.claims.Group")).toBe("@request.auth.claims[Group]");
    expect(named("@request.auth.claims.realm.Roles")).toBe("@request.auth.claims[realm][Roles]");
    expect(named("@request.auth.claims[https://a.b/c][d]")).toBe("@request.auth.claims[https://a.b/c][d]");
  });
});
