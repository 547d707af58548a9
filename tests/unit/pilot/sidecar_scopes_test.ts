/** What Sidecars leave of the mesh in the snapshots of those that they select, and where they deliver. */
import { describe, expect, test } from "bun:test";
import type { ProxySettings, Snapshot } from "../../../src/model/snapshot.ts";
import { caller, load, resource, service, snapshotFor, workloadEntry } from "./fixture.ts";

const MESH = [
  service("web", "shop"),
  service("api", "shop", "{name: http, port: 8080}, {name: http-admin, port: 9090}"),
  service("ledger", "billing"),
  service("mail", "office"),
];

function sidecar(spec: string, name = "default", namespace = "shop"): string {
  return resource(`Sidecar ${namespace}/${name}`, `{${spec}}`);
}

const egress = (...hosts: string[]) => `egress: [{hosts: [${hosts.map((host) => `"${host}"`).join(", ")}]}]`;

/** `NAME:PORT` of what a caller sees. */
function seen(snapshot: Snapshot): string[] {
  const hosts = [...snapshot.keys()].filter((key) => key.startsWith("virtualHost/"));
  return hosts.map((key) => key.replace("virtualHost/", "").replace(/\.[^:]*:/, ":")).sort();
}

function seenBy(labels: Record<string, string>, ...documents: string[]): string[] {
  return seen(snapshotFor(load(...MESH, ...documents), caller("shop", labels)));
}

const ALL = ["api:8080", "api:9090", "ledger:8080", "mail:8080", "web:8080"];

describe("Sidecar.egress", () => {
  test.each([
    ["its own namespace", ["./*"], ["api:8080", "api:9090", "web:8080"]],
    ["another namespace", ["billing/*"], ["ledger:8080"]],
    ["one host of it", ["office/mail.office.svc.cluster.local"], ["mail:8080"]],
    ["one host of any", ["*/*.billing.svc.cluster.local"], ["ledger:8080"]],
    ["several", ["billing/*", "office/*"], ["ledger:8080", "mail:8080"]],
    ["nothing", ["~/*"], []],
    ["all but a namespace", ["*/*", "~shop/*"], ["ledger:8080", "mail:8080"]],
    ["everything", ["*/*"], ALL],
  ])("lets its workloads see %s", (_what, hosts, expected) => {
    expect(seenBy({}, sidecar(egress(...hosts)))).toEqual(expected);
  });

  test("without any is as if there were no Sidecar", () => {
    expect(seenBy({}, sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"))).toEqual(ALL);
  });

  test("of a port takes all of that port, and the one without a port the others", () => {
    const listeners = "egress: [{port: {number: 8080, protocol: HTTP}, hosts: [billing/*]}, {hosts: [./*]}]";
    expect(seenBy({}, sidecar(listeners))).toEqual(["api:9090", "ledger:8080"]);
  });

  test("leaves clusters and listeners out too, so that the snapshot is smaller", () => {
    const resources = load(...MESH, sidecar(egress("billing/*")));
    const scoped = snapshotFor(resources, caller("shop"));
    const whole = snapshotFor(resources, caller("office"));
    expect([...scoped.keys()].filter((key) => !key.includes("ledger"))).toEqual(["proxy/self"]);
    expect(scoped.size).toBe(1 + (whole.size - 1) / 5);
  });

  test("keeps what the VirtualServices that are seen lead to", () => {
    const rule = resource(
      "VirtualService billing/ledger",
      "{hosts: [ledger], http: [{route: [{destination: {host: mail.office.svc.cluster.local}}]}]}",
    );
    expect(seenBy({}, rule, sidecar(egress("billing/*")))).toEqual(["ledger:8080", "mail:8080"]);
    expect(seenBy({}, rule, sidecar(egress("./*")))).toEqual(["api:8080", "api:9090", "web:8080"]);
  });

  test("lets in a rule for a wildcard with one host that it is for", () => {
    const rule = resource(
      "VirtualService billing/all",
      '{hosts: ["*.billing.svc.cluster.local"], http: [{route: [{destination: {host: mail.office.svc.cluster.local}}]}]}',
    );
    const one = "*/ledger.billing.svc.cluster.local";
    expect(seenBy({}, rule, sidecar(egress(one)))).toContain("mail:8080");
    expect(seenBy({}, rule, sidecar(egress(one, "~*/*.billing.svc.cluster.local")))).toEqual([]);
  });
});

describe("Sidecar.workloadSelector", () => {
  const own = sidecar(`workloadSelector: {labels: {app: web}}, ${egress("office/*")}`, "web");
  const namespaced = sidecar(egress("billing/*"));
  const root = sidecar(egress("./*"), "default", "istio-system");

  test("goes before the namespace's, that before the root namespace's", () => {
    expect(seenBy({ app: "web" }, own, namespaced, root)).toEqual(["mail:8080"]);
    expect(seenBy({ app: "api" }, own, namespaced, root)).toEqual(["ledger:8080"]);
    expect(seenBy({ app: "api" }, own, root)).toEqual(["api:8080", "api:9090", "web:8080"]);
    expect(seenBy({ app: "api" }, own)).toEqual(ALL);
  });

  test("selects in its own namespace only", () => {
    expect(
      seenBy(
        { app: "web" },
        sidecar(`workloadSelector: {labels: {app: web}}, ${egress("./*")}`, "w", "office"),
      ),
    )
      .toEqual(ALL);
  });
});

describe("Sidecar.outboundTrafficPolicy and ingress", () => {
  const settingsOf = (spec: string) => {
    const web = workloadEntry("web-1", "shop", "{address: 10.0.0.7, labels: {app: web}}");
    const resources = load(...MESH, web, sidecar(spec));
    const proxy = { ...caller("shop", { app: "web" }), address: "10.0.0.7" };
    return snapshotFor(resources, proxy).get("proxy/self")?.body as ProxySettings;
  };
  const ingress = (rest: string, port = 8080) =>
    `ingress: [{port: {number: ${port}, protocol: GRPC, name: grpc}${rest}}]`;

  test("say what becomes of hosts that nothing defines", () => {
    expect(settingsOf("outboundTrafficPolicy: {mode: REGISTRY_ONLY}").outboundPolicy).toBe("REGISTRY_ONLY");
    expect(settingsOf(egress("./*")).outboundPolicy).toBe("ALLOW_ANY");
  });

  test.each([
    ["", undefined],
    [", defaultEndpoint: 127.0.0.1:7000", { hostname: "127.0.0.1", port: 7000 }],
    [', defaultEndpoint: "[::1]:7000"', { hostname: "::1", port: 7000 }],
    [", defaultEndpoint: 0.0.0.0:7000", { hostname: "10.0.0.7", port: 7000 }],
  ])("deliver where ingress%s says", (rest, deliverTo) => {
    const [only, ...others] = settingsOf(ingress(rest)).inbound;
    expect(others).toEqual([]);
    expect(only).toMatchObject({ port: 8080, protocol: "http2", declared: "http", service: { name: "web" } });
    expect(only?.deliverTo).toEqual(deliverTo);
  });

  test("open no port but those of ingress, also ones to which no service leads", () => {
    const { inbound } = settingsOf(ingress("", 8081));
    expect(inbound.map(({ port, service }) => `${port} ${service.host}`)).toEqual(["8081 caller.shop"]);
  });
});
