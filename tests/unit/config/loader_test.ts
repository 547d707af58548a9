import { describe, expect, test } from "bun:test";
import { FINDINGS_MAX, loadConfig } from "../../../src/config/loader.ts";
import { document, findingsOf, load, service } from "./config_texts.ts";

const PRIMER_DESTINATION_RULE = `apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: recommendation
  namespace: tutorial
spec:
  host: recommendation
  subsets:
  - name: version-v1
    labels:
      version: v1
  - name: version-v2
    labels:
      version: v2
`;

const PRIMER_WEIGHTS = `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: recommendation
  namespace: tutorial
spec:
  hosts:
  - recommendation
  http:
  - route:
    - destination:
        host: recommendation
        subset: version-v1
      weight: 90
    - destination:
        host: recommendation
        subset: version-v2
      weight: 10
`;

const PRIMER_SAFARI = `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: recommendation
  namespace: tutorial
spec:
  hosts:
  - recommendation
  http:
  - route:
    - destination:
        host: recommendation
        subset: version-v1
    match:
    - headers:
        baggage-user-agent:
          regex: .*Safari.*
  - route:
    - destination:
        host: recommendation
        subset: version-v2
`;

describe("the primer's resources", () => {
  test("loadConfig() reads the DestinationRule as printed", () => {
    const [rule] = load(service("recommendation"), PRIMER_DESTINATION_RULE).destinationRules;
    expect(rule?.spec).toEqual({
      host: "recommendation",
      trafficPolicy: null,
      subsets: [
        { name: "version-v1", labels: { version: "v1" }, trafficPolicy: null },
        { name: "version-v2", labels: { version: "v2" }, trafficPolicy: null },
      ],
      exportTo: [],
      workloadSelector: null,
    });
  });

  test("loadConfig() reads the weights as printed, without a finding", () => {
    const texts = [service("recommendation"), PRIMER_DESTINATION_RULE, PRIMER_WEIGHTS];
    expect(findingsOf(texts)).toEqual([]);
    const [rule] = load(...texts).virtualServices;
    expect(rule?.spec.hosts).toEqual(["recommendation"]);
    expect(rule?.spec.gateways).toEqual(["mesh"]);
    expect(rule?.spec.http[0]?.match).toEqual([]);
    expect(rule?.spec.http[0]?.route).toEqual([
      {
        destination: { host: "recommendation", subset: "version-v1", port: null },
        weight: 90,
        headers: null,
      },
      {
        destination: { host: "recommendation", subset: "version-v2", port: null },
        weight: 10,
        headers: null,
      },
    ]);
  });

  test("loadConfig() reads the Safari rule as printed, without a finding", () => {
    const texts = [service("recommendation"), PRIMER_DESTINATION_RULE, PRIMER_SAFARI];
    expect(findingsOf(texts)).toEqual([]);
    const [rule] = load(...texts).virtualServices;
    expect(rule?.spec.http[0]?.match[0]?.headers).toEqual([
      { name: "baggage-user-agent", match: { type: "regex", value: ".*Safari.*" } },
    ]);
    expect(rule?.spec.http[1]?.match).toEqual([]);
  });
});

describe("loadConfig()", () => {
  test("loadConfig() reads every API version of Istio's networking kinds", () => {
    for (const version of ["v1alpha3", "v1beta1", "v1"]) {
      const text = document("WorkloadEntry", "a", "address: 127.0.0.1", `networking.istio.io/${version}`);
      expect(load(text).workloadEntries).toHaveLength(1);
    }
  });

  test("loadConfig() skips empty documents and comments", () => {
    const text = `# nothing\n---\n---\n${service("a")}---\n# nothing\n...\n`;
    expect(loadConfig([{ file: "a.yaml", text }, { file: "b.yaml", text: "" }])).toMatchObject({
      findings: [],
      resourceCount: 1,
    });
  });

  test("loadConfig() gives an empty set for no files", () => {
    const { resources, findings } = loadConfig([]);
    expect(findings).toEqual([]);
    expect(resources?.services).toEqual([]);
  });

  test("loadConfig() is all or nothing", () => {
    const files = [{ file: "good.yaml", text: service("a") }, { file: "bad.yaml", text: "kind: Servce" }];
    const { resources, findings, resourceCount } = loadConfig(files);
    expect(resources).toBeNull();
    expect(findings).toHaveLength(1);
    expect(resourceCount).toBe(1);
  });

  test("loadConfig() sorts resources by namespace and name, whatever the files' order", () => {
    const other = service("a").replace("namespace: tutorial", "namespace: other");
    const names = load(service("b"), service("a"), other).services.map((item) =>
      `${item.namespace}/${item.name}`
    );
    expect(names).toEqual(["other/a", "tutorial/a", "tutorial/b"]);
  });

  test("loadConfig() expands a List, and positions stay those of the file", () => {
    const text = "apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n- apiVersion: v1\n  kind: Service\n" +
      "  metadata: {name: a}\n  spec:\n    ports: [{port: 80}]\n";
    const [item] = load(text).services;
    expect(item?.name).toBe("a");
    expect(item?.namespace).toBe("default");
    expect(item?.position).toEqual({ file: "mesh.yaml", line: 5, column: 3 });
    expect(item?.positionOf(["spec", "ports", 0, "port"])).toEqual({
      file: "mesh.yaml",
      line: 9,
      column: 20,
    });
  });

  test("positionOf() answers with the nearest ancestor of a field that is absent", () => {
    const [item] = load(service("a")).services;
    expect(item?.positionOf(["spec", "ports", 0])).toEqual({ file: "mesh.yaml", line: 8, column: 11 });
    expect(item?.positionOf(["spec", "ports", 0, "targetPort"])).toEqual({
      file: "mesh.yaml",
      line: 8,
      column: 11,
    });
    expect(item?.positionOf(["spec", "ports", 7])).toEqual({ file: "mesh.yaml", line: 8, column: 10 });
    expect(item?.positionOf([])).toEqual({ file: "mesh.yaml", line: 1, column: 1 });
  });

  test("loadConfig() accepts what a Kubernetes dump adds", () => {
    const text = `apiVersion: v1
kind: Service
metadata:
  name: a
  uid: 1-2
  resourceVersion: "7"
  generation: 1
  creationTimestamp: 2024-01-01T00:00:00Z
  managedFields: [{manager: kubectl}]
  ownerReferences: []
  finalizers: [x]
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  sessionAffinity: None
  type: ClusterIP
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 8080}]
status: {loadBalancer: {}}
`;
    expect(findingsOf([text])).toEqual([]);
  });

  test("loadConfig() follows anchors and aliases", () => {
    const text = service("a").replace("{app: a}", "&app {app: a}") + "  internalTrafficPolicy: Cluster\n";
    const aliased = text.replace("metadata:\n", "metadata:\n  labels: &l {x: y}\n  annotations: *l\n");
    expect(load(aliased).services[0]).toMatchObject({ labels: { x: "y" }, annotations: { x: "y" } });
  });

  test("loadConfig() keeps dates as text, even where a document declares YAML 1.1", () => {
    const text = `%YAML 1.1\n---\n${
      service("a").replace("name: a", "name: a\n  annotations: {when: 2024-01-01}")
    }`;
    expect(load(text).services[0]?.annotations).toEqual({ when: "2024-01-01" });
  });

  test("loadConfig() with lenient drops unimplemented fields and kinds with a warning", () => {
    const rule = document(
      "VirtualService",
      "a",
      `
      hosts: [a]
      http:
      - timeout: 5s
        route: [{destination: {host: a}}]
        websocketUpgrade: true
        appendHeaders: {a: b}
      `,
    );
    const telemetry = document("Telemetry", "t", "selector: {a: b}");
    const files = [{ file: "mesh.yaml", text: [service("a"), rule, telemetry].join("---\n") }];
    expect(loadConfig(files).resources).toBeNull();
    const { resources, findings } = loadConfig(files, { lenient: true });
    expect(resources?.virtualServices[0]?.spec.http[0]?.timeout).toBe(5_000);
    expect(findings.map(({ code, severity, field }) => `${severity} ${code} ${field}`)).toEqual([
      "warning BOW0004 spec.http[0].websocketUpgrade",
      "warning BOW0004 spec.http[0].appendHeaders",
      "warning BOW0007 kind",
    ]);
  });

  test("loadConfig() with lenient still refuses unknown fields and what is left without meaning", () => {
    const rule = document("VirtualService", "a", "hosts: [a]\nhttp: [{websocketUpgrade: true}]");
    expect(findingsOf([rule], { lenient: true })).toEqual([
      "mesh.yaml:8:10: error IST0106 VirtualService tutorial/a: spec.http[0]: the rule has no route, so it says " +
      "nothing about where requests go; add route: with a destination",
      'mesh.yaml:8:11: warning BOW0004 VirtualService tutorial/a: spec.http[0].websocketUpgrade: the field "websocketUpgrade" is ' +
      "Istio's, but this version of bowline does not implement it; it has no effect",
    ]);
    const misspelt = document("DestinationRule", "a", "host: a\nsubsetz: []");
    expect(findingsOf([misspelt], { lenient: true })).toHaveLength(1);
  });

  test("loadConfig() refuses a MeshConfig with the trust domain of another mesh, where that is known", () => {
    const text = "apiVersion: mesh.istio.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: mesh}\n" +
      "spec:\n  trustDomain: other.test\n";
    const findings = (trustDomain?: string) =>
      loadConfig([{ file: "mesh.yaml", text }], trustDomain === undefined ? {} : { trustDomain }).findings
        .filter(({ severity }) => severity === "error");
    expect(findings("mesh.test")).toMatchObject([{
      code: "BOW0034",
      line: 5,
      column: 16,
      field: "spec.trustDomain",
      message: 'the trust domain is "mesh.test", not "other.test"',
    }]);
    expect(findings("other.test")).toEqual([]);
    expect(findings()).toEqual([]);
  });

  test("loadConfig() keeps as many findings as its limit, and counts the others", () => {
    const bad = (count: number) => "kind: Nothing\n---\n".repeat(count);
    expect(findingsOf([bad(FINDINGS_MAX)])).toHaveLength(FINDINGS_MAX);
    const findings = findingsOf([bad(FINDINGS_MAX + 2)]);
    expect(findings).toHaveLength(FINDINGS_MAX + 1);
    expect(findings.at(-1)).toContain("2 more findings are not shown");
  });
});
