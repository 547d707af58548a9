/** The traps of ServiceEntries and WorkloadGroups that show in their schemas. */
import { describe, expect, test } from "bun:test";
import { specFaults, specOf } from "../config_texts.ts";

describe("ServiceEntry", () => {
  const faults = (spec: string) => specFaults("ServiceEntry", spec);
  const HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]";
  const TCP = "ports: [{number: 9000, name: tcp, protocol: TCP}]";

  test("each resolution takes the endpoints that it can use", () => {
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS`)).toEqual([]);
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: STATIC\nendpoints: [{address: b.com}]`)[0]).toContain(
      "resolution STATIC does not look up",
    );
    expect(faults(`hosts: ["*.a.com"]\n${HTTP}\nresolution: DNS`)[0]).toContain("cannot be looked up in DNS");
    expect(faults(`hosts: ["*.a.com"]\n${HTTP}\nresolution: DYNAMIC_DNS`)).toEqual([]);
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS\naddresses: [10.0.0.0/8]`)).toHaveLength(1);
    const two = "endpoints: [{address: b.com}, {address: c.com}]";
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS_ROUND_ROBIN\n${two}`)).toHaveLength(1);
  });

  test("several hosts on a TCP port are told apart by nothing", () => {
    expect(faults(`hosts: [a.com, b.com]\n${TCP}\nresolution: STATIC`)[0]).toContain(
      "spec.ports[0]: nothing tells",
    );
    expect(faults(`hosts: [a.com, b.com]\n${TCP}`)).toEqual([]);
    expect(faults(`hosts: [a.com, b.com]\n${HTTP}\nresolution: STATIC`)).toEqual([]);
  });

  test("an endpoint's ports are those of the service", () => {
    const endpoint = "resolution: STATIC\nendpoints: [{address: 10.0.0.1, ports: {https: 1}}]";
    expect(faults(`hosts: [a.com]\n${HTTP}\n${endpoint}`)).toEqual([
      'IST0106 spec.endpoints[0].ports.https: the service has no port "https"; it has http',
    ]);
  });

  test("a protocol that is empty is one that is not said", () => {
    const spec = 'hosts: [a.com]\nports: [{number: 1, name: a, protocol: ""}]';
    expect(specOf("ServiceEntry", spec).ports[0]?.protocol).toBe("TCP");
  });

  test("a socket stands for the one port of a service, and is not looked up", () => {
    const socket = (rest: string) => `hosts: [a.com]\nendpoints: [{address: unix:///run/a${rest}}]`;
    expect(faults(`${socket("")}\n${HTTP}\nresolution: STATIC`)).toEqual([]);
    expect(faults(`${socket(", ports: {http: 1}")}\n${HTTP}\nresolution: STATIC`)[0]).toContain(
      "has no ports",
    );
    expect(faults(`${socket("")}\n${HTTP}\nresolution: DNS`)[0]).toContain("of no use with resolution DNS");
    const two = "ports: [{number: 1, name: a}, {number: 2, name: b}]";
    expect(faults(`${socket("")}\n${two}\nresolution: STATIC`)[0]).toContain("stands for one port");
  });

  test("ports have names of letters, digits and dashes, 63 of them at most", () => {
    const named = (name: string) => faults(`hosts: [a.com]\nports: [{number: 1, name: ${name}}]`);
    expect(named("Http-1")).toEqual([]);
    expect(named("a".repeat(63))).toEqual([]);
    for (const name of ["a".repeat(64), '"a b"', '"@"', "a-", '""']) expect(named(name)).toHaveLength(1);
    expect(specFaults("WorkloadEntry", 'address: 1.2.3.4\nports: {"@": 1}')).toHaveLength(1);
  });
});

describe("WorkloadGroup", () => {
  const group = (rest: string) => `template: {serviceAccount: a}\n${rest}`;

  test("annotations are read, and a probe comes out with Istio's defaults: period 10 s, timeout 1 s, failures 3, successes 1", () => {
    expect(specOf("WorkloadGroup", group("metadata: {annotations: {a: b}}")).metadata.annotations).toEqual({
      a: "b",
    });
    expect(specOf("WorkloadGroup", group("probe: {httpGet: {port: 80}}")).probe).toEqual({
      initialDelaySeconds: 0,
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
      method: { type: "httpGet", path: "/", port: 80, host: null, scheme: "HTTP", httpHeaders: [] },
    });
  });

  test("a probe has exactly one method", () => {
    const methodOf = (probe: string) => specOf("WorkloadGroup", group(`probe: {${probe}}`)).probe?.method;
    expect(methodOf("tcpSocket: {port: 1}")).toEqual({ type: "tcpSocket", host: null, port: 1 });
    expect(methodOf("exec: {command: [a, b]}")).toEqual({ type: "exec", command: ["a", "b"] });
    expect(methodOf("grpc: {port: 1}")).toEqual({ type: "grpc", port: 1, service: "" });
    expect(specFaults("WorkloadGroup", group("probe: {}"))).toHaveLength(1);
    expect(specFaults("WorkloadGroup", group("probe: {tcpSocket: {port: 1}, grpc: {port: 1}}"))).toHaveLength(
      1,
    );
    expect(specFaults("WorkloadGroup", group("probe: {exec: {command: []}}"))).toHaveLength(1);
  });

  test("an httpGet probe has nothing in its path or headers that would end the line", () => {
    const httpGet = (rest: string) =>
      specFaults("WorkloadGroup", group(`probe: {httpGet: {port: 80, ${rest}}}`));
    for (const path of ['"/a b"', '"/a\\r\\nx: y"', "/ä"]) expect(httpGet(`path: ${path}`)).toHaveLength(1);
    expect(httpGet('httpHeaders: [{name: a, value: "b\\nc: d"}]')).toHaveLength(1);
    expect(httpGet('httpHeaders: [{name: "a b", value: c}]')).toHaveLength(1);
    expect(httpGet('path: "/a?b=%20", httpHeaders: [{name: a, value: "b c"}]')).toEqual([]);
  });

  test("a template has no address, and labels that those of the metadata go before", () => {
    expect(specFaults("WorkloadGroup", "template: {address: 1.2.3.4}")).toHaveLength(1);
    const labelled = "metadata: {labels: {a: own}}\ntemplate: {labels: {a: x, b: y}}";
    expect(specOf("WorkloadGroup", labelled).metadata.labels).toEqual({ a: "own", b: "y" });
    expect(specFaults("WorkloadGroup", "metadata: {}")[0]).toContain('"template" is required');
  });
});
