import { describe, expect, test } from "bun:test";
import { diffText } from "../../../../src/cli/diff/diff_text.ts";
import { meshDiff, type WorkloadDiff } from "../../../../src/cli/diff/mesh_diff.ts";
import type { ResourceSet } from "../../../../src/config/resource.ts";
import { golden } from "../../../golden.ts";
import { load, loadDirectory, resource, service, TRUST_DOMAIN, workloadEntry } from "../../pilot/fixture.ts";

const WEB = workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}");
const CART = workloadEntry("cart", "shop", "{address: 10.0.0.2, labels: {app: cart, version: v1}}");
const SERVICES = [service("web", "shop"), service("cart", "shop")];

function virtualService(http: string): string {
  return resource("VirtualService shop/cart", `{hosts: [cart], http: ${http}}`);
}

function diff(before: ResourceSet, after: ResourceSet): readonly WorkloadDiff[] {
  return meshDiff(before, after, TRUST_DOMAIN).workloads;
}

describe("meshDiff()", () => {
  test("meshDiff() is silent about two configurations that mean the same", () => {
    const rule = "[{route: [{destination: {host: cart}}]}]";
    const before = load(...SERVICES, WEB, virtualService(rule));
    // Other lines, another order.
    const after = load(virtualService(rule), ...SERVICES, WEB);
    expect(diff(before, after)).toEqual([]);
    expect(diffText(meshDiff(before, after, TRUST_DOMAIN))).toBe("Nothing changes for any of 1 workloads.");
  });

  test("meshDiff() tells a new rule above others as one, and the requests that it takes from them", () => {
    const rest = "{route: [{destination: {host: cart}}]}";
    const first = "{match: [{uri: {prefix: /v2}}], route: [{destination: {host: web}}]}";
    const [web] = diff(
      load(...SERVICES, WEB, virtualService(`[${rest}]`)),
      load(...SERVICES, WEB, virtualService(`[${first}, ${rest}]`)),
    );
    expect(web?.routes.map(({ host, change, rules }) => [host, change, rules.length])).toEqual([
      ["cart.shop.svc.cluster.local:8080", "changed", 1],
    ]);
    expect(web?.routes[0]?.rules[0]).toMatchObject({ change: "added", before: null });
    expect(web?.routes[0]?.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "GET http://cart.shop.svc.cluster.local/v2",
    ]);
  });

  test("meshDiff() says that a rule below one that takes everything moves no request", () => {
    const rest = "{route: [{destination: {host: cart}}]}";
    const never = "{match: [{uri: {prefix: /v2}}], route: [{destination: {host: web}}]}";
    const [web] = diff(
      load(...SERVICES, WEB, virtualService(`[${rest}]`)),
      load(...SERVICES, WEB, virtualService(`[${rest}, ${never}]`)),
    );
    expect(web?.routes[0]?.rules.length).toBe(1);
    expect(web?.routes[0]?.requests).toEqual([]);
  });

  test("meshDiff() counts a request as dealt with otherwise when anything but where it goes changes", () => {
    const route = "route: [{destination: {host: cart}}]";
    const before = load(...SERVICES, WEB, virtualService(`[{${route}}]`));
    const changed = (more: string) => {
      const after = load(...SERVICES, WEB, virtualService(`[{${route}, ${more}}]`));
      const step = meshDiff(before, after, TRUST_DOMAIN);
      expect(step.workloads[0]?.routes[0]?.requests.length).toBe(1);
      const now = diffText(step).split("\n").find((line) => line.includes("now: ")) ?? "";
      return now.slice(now.indexOf("8080") + "8080, ".length);
    };
    expect(changed("fault: {abort: {percentage: {value: 50}, httpStatus: 503}}")).toBe(
      "50% aborted with 503",
    );
    expect(changed("fault: {delay: {percentage: {value: 0.5}, fixedDelay: 2s}}")).toBe(
      "0.5% delayed by 2000 ms",
    );
    expect(changed("headers: {response: {add: {x-a: b}}}")).toBe('header x-a gets "b" on answers');
    expect(changed("headers: {request: {remove: [x-a]}}")).toBe("header x-a removed on requests");
    expect(changed("corsPolicy: {allowOrigins: [{exact: http://a}], allowMethods: [GET]}"))
      .toBe('CORS where the origin is "http://a" (methods GET, credentials no)');
    expect(changed("timeout: 3s")).toBe("timeout 3000 ms");
    expect(changed("retries: {attempts: 0}")).toBe("no retries");
    expect(changed("retries: {attempts: 3, perTryTimeout: 1s, retryOn: 5xx}"))
      .toBe("up to 3 retries on 5xx 1000 ms each back-off 25 to 250 ms");
    expect(changed("rewrite: {uri: /b, authority: c}"))
      .toBe("authority rewritten to c, path rewritten: what matched becomes /b");
    expect(changed("mirror: {host: web}, mirrorPercentage: {value: 5}"))
      .toBe("copies of 5% to web.shop.svc.cluster.local:8080");
  });

  test("meshDiff() says what a rule does that sends nothing on", () => {
    const before = load(...SERVICES, WEB);
    const now = (rule: string) => {
      const text = diffText(
        meshDiff(before, load(...SERVICES, WEB, virtualService(`[${rule}]`)), TRUST_DOMAIN),
      );
      return /now: (.*)/.exec(text)?.[1];
    };
    expect(now("{redirect: {uri: /b, authority: c, redirectCode: 302}}"))
      .toBe("redirected 302 (authority c, path /b)");
    expect(now("{directResponse: {status: 418, body: {string: tea}}}")).toBe('answered 418 with "tea"');
  });

  test("meshDiff() tells endpoints that come, go and change, and workloads too", () => {
    const moved = CART.replace("10.0.0.2", "10.0.0.3");
    const [cart, web] = diff(load(...SERVICES, WEB), load(...SERVICES, WEB, CART));
    expect(cart).toMatchObject({ workload: "shop/cart", change: "added" });
    expect(web?.endpoints).toMatchObject([{ port: 8080, subset: null, added: [{ address: "10.0.0.2" }] }]);
    const [, after] = diff(load(...SERVICES, WEB, CART), load(...SERVICES, WEB, moved));
    expect(after?.endpoints).toMatchObject([
      { added: [{ address: "10.0.0.3" }], removed: [{ address: "10.0.0.2" }] },
    ]);
    const heavier = CART.replace("labels:", "weight: 3, labels:");
    const changed = diff(load(...SERVICES, WEB, CART), load(...SERVICES, WEB, heavier)).at(-1);
    expect(changed?.endpoints[0]?.changed[0]?.fields).toEqual([{ field: "weight", before: 1, after: 3 }]);
  });

  test("meshDiff() tells what holds for the calls to a service", () => {
    const rule = (balancer: string) =>
      resource(
        "DestinationRule shop/cart",
        `{host: cart, trafficPolicy: {loadBalancer: {simple: ${balancer}}}}`,
      );
    const [web] = diff(load(...SERVICES, WEB, rule("RANDOM")), load(...SERVICES, WEB, rule("ROUND_ROBIN")));
    expect(web?.policies).toMatchObject([
      {
        port: 8080,
        subset: null,
        change: "changed",
        fields: [{ field: "balancer", before: "RANDOM", after: "ROUND_ROBIN" }],
      },
    ]);
  });

  test("meshDiff() tells how captured connections are taken otherwise", () => {
    const cart = (port: string) => SERVICES.map((text) => text.replace(/name: http\b/, port));
    const [web] = diff(load(...cart("name: http"), WEB), load(...cart("name: tcp"), WEB));
    expect(web?.listeners[0]).toMatchObject({ change: "changed" });
    expect(web?.listeners[0]?.fields[0]).toEqual({ field: "protocol", before: "http", after: "tcp" });
  });

  test("diffText() tells in words what becomes of connections, and nothing of rules that moved in their file", () => {
    const tls = (rule: string) =>
      `tls: [{match: [{sniHosts: [db.test]}], route: [{destination: {host: ${rule}}}]}]`;
    const mesh = (before: string, rules: string) =>
      load(
        ...SERVICES,
        WEB,
        before,
        resource(
          "ServiceEntry shop/db",
          "{hosts: [db.test], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
        ),
        resource("VirtualService shop/db", `{hosts: [db.test], ${rules}}`),
      );
    const old = mesh("# moved", tls("db.test"));
    expect(diffText(meshDiff(old, mesh("# moved\n# on", tls("db.test")), TRUST_DOMAIN)))
      .toBe("Nothing changes for any of 1 workloads.");
    expect(diffText(meshDiff(old, mesh("# moved\n# on", tls("cart")), TRUST_DOMAIN)).split("\n")).toEqual([
      "shop/web:",
      "  ~ connections to db.test:443",
      "      - rule 0 of shop/db: when TLS asks for db.test: 100% to db.test:443",
      "      + rule 0 of shop/db: when TLS asks for db.test: 100% to cart.shop.svc.cluster.local:8080",
      "",
      "1 of 1 workloads notice it.",
    ]);
  });

  test("diffText() tells what a Sidecar opens and shuts, item by item", () => {
    const sidecar = (spec: string) => resource("Sidecar shop/web", `{${spec}}`);
    const before = load(...SERVICES, WEB, sidecar("ingress: [{port: {number: 80}}, {port: {number: 81}}]"));
    const after = load(
      ...SERVICES,
      WEB,
      sidecar(
        "ingress: [{port: {number: 80}}], egress: [{port: {number: 3306, protocol: MYSQL}, captureMode: NONE, hosts: [./*]}, " +
          "{hosts: [./*]}]",
      ),
    );
    const lines = diffText(meshDiff(before, after, TRUST_DOMAIN)).split("\n");
    expect(lines.slice(0, 5)).toEqual([
      "shop/web:",
      "  ~ the workload's own ports",
      "      - port 81 for web.shop",
      "  ~ ports that the sidecar opens",
      '      + {"side":"outbound","bind":"127.0.0.1","port":3306,"protocol":"tcp"}',
    ]);
  });

  test("diffText() says of the tutorial's second chapter what the golden file says", () => {
    const step = meshDiff(
      loadDirectory("config/tutorial/split-90-10"),
      loadDirectory("config/tutorial/user-agent"),
      TRUST_DOMAIN,
    );
    golden("cli/diff/safari.txt", diffText(step));
  });
});

describe("meshDiff() of a gateway", () => {
  const gateway = (port: number, tls = "") =>
    resource(
      "Gateway shop/main",
      `{selector: {istio: edge}, servers: [
        {port: {number: 80, name: http, protocol: HTTP}, hosts: [cart.test]${tls}},
        {port: {number: ${port}, name: more, protocol: HTTP}, hosts: [cart.test]}]}`,
    );
  const edge = workloadEntry("edge", "shop", "{address: 10.0.0.9, labels: {istio: edge}}");
  const rule = (http: string) =>
    resource("VirtualService shop/cart", `{hosts: [cart.test], gateways: [main], http: [${http}]}`);
  const toCart = "{route: [{destination: {host: cart}}]}";
  const toWeb = "{match: [{uri: {prefix: /v2}}], route: [{destination: {host: web}}]}";

  test("meshDiff() tells ports that come and go, with their hosts", () => {
    const [found, ...others] = diff(
      load(...SERVICES, edge, gateway(81), rule(toCart)),
      load(...SERVICES, edge, gateway(82), rule(toCart)),
    );
    expect(others).toEqual([]);
    expect(found?.ports).toEqual([
      { host: ":81", change: "removed", fields: [] },
      { host: ":82", change: "added", fields: [] },
    ]);
    expect(found?.routes.map(({ host, change }) => `${change} ${host}`)).toEqual([
      "removed http.:81|cart.test",
      "added http.:82|cart.test",
    ]);
  });

  test("meshDiff() tries the requests of each port with the routes of that port", () => {
    const [found] = diff(
      load(...SERVICES, edge, gateway(81), rule(toCart)),
      load(...SERVICES, edge, gateway(81), rule(`${toWeb}, ${toCart}`)),
    );
    expect(found?.routes.map(({ host, requests }) => [host, requests.map(({ url }) => url)])).toEqual([
      ["http.:80|cart.test", ["http://cart.test/v2"]],
      ["http.:81|cart.test", ["http://cart.test/v2"]],
    ]);
  });

  test("diffText() names the port of a gateway at which a host is", () => {
    const text = (servers: string, more = "") => {
      const door = resource("Gateway shop/main", `{selector: {istio: edge}, servers: [${servers}]}`);
      const step = (route: string) => load(...SERVICES, edge, door, rule(`${route}${more}`));
      return diffText(meshDiff(step(toCart), step(`${toWeb}, ${toCart}`), TRUST_DOMAIN)).split("\n");
    };
    const port = (number: number, protocol: string, more: string) =>
      `{port: {number: ${number}, name: p${number}, protocol: ${protocol}}, hosts: [cart.test]${more}}`;
    const at = (line: string) => `  ~ routes of cart.test at the gateway's ${line}`;
    expect(text(port(80, "HTTP", ""))).toContain(at("port 80"));
    expect(text(port(80, "HTTP", ", bind: 10.0.0.9"))).toContain(at("port 10.0.0.9:80"));
    expect(text(port(443, "HTTPS", ", tls: {mode: SIMPLE, credentialName: a}"))).toContain(at("port 443"));
    expect(text(port(0, "HTTP", ", bind: 'unix:///run/a.sock'"))).toContain(at("socket unix:///run/a.sock"));
  });

  test("meshDiff() notices a redirect to HTTPS", () => {
    const plain = load(...SERVICES, edge, gateway(81), rule(toCart));
    const safe = load(...SERVICES, edge, gateway(81, ", tls: {httpsRedirect: true}"), rule(toCart));
    expect(diff(plain, safe)[0]?.routes.map(({ host, change }) => `${change} ${host}`)).toEqual([
      "changed http.:80|cart.test",
    ]);
    const said = (before: ResourceSet, after: ResourceSet) =>
      diffText(meshDiff(before, after, TRUST_DOMAIN)).split("\n").slice(1, 3);
    const at = "  ~ routes of cart.test at the gateway's port 80";
    expect(said(plain, safe)).toEqual([at, "      requests in plain text are redirected to HTTPS"]);
    expect(said(safe, plain)).toEqual([at, "      requests in plain text are no more redirected to HTTPS"]);
  });

  test("diffText() tells what is otherwise in TLS of a gateway's port, name by name", () => {
    const at = (...servers: string[]) =>
      load(
        ...SERVICES,
        edge,
        resource(
          "Gateway shop/main",
          `{selector: {istio: edge}, servers: [${
            servers.map((more, index) =>
              `{port: {number: 443, name: p${index}, protocol: HTTPS}, hosts: [cart${index}.test], tls: {${more}}}`
            ).join(", ")
          }]}`,
        ),
        resource(
          "VirtualService shop/bytes",
          "{hosts: [cart1.test], gateways: [main], tls: [{match: [{sniHosts: [cart1.test]}], " +
            "route: [{destination: {host: cart}}]}]}",
        ),
      );
    const simple = (name: string) => `mode: SIMPLE, credentialName: ${name}`;
    const lines = diffText(
      meshDiff(
        at(simple("a")),
        at(`${simple("b")}, minProtocolVersion: TLSV1_3`, "mode: PASSTHROUGH"),
        TRUST_DOMAIN,
      ),
    ).split("\n");
    expect(lines.slice(lines.indexOf("  ~ the gateway's port 443"), -2)).toEqual([
      "  ~ the gateway's port 443",
      "      ~ TLS for cart0.test",
      '          tls.certificate.name: "a" -> "b"',
      '          tls.minVersion: "TLSv1.2" -> "TLSv1.3"',
      "      + TLS for cart1.test",
    ]);
  });
});
