import { describe, expect, test } from "bun:test";
import { HOST_LENGTH_MAX } from "../../../../src/config/host.ts";
import { LABEL_LENGTH_MAX, SUBDOMAIN_LENGTH_MAX } from "../../../../src/config/schema/scalars.ts";
import { PORT_MAX } from "../../../../src/model/ports.ts";
import { REGEX_BYTES_MAX, REGEX_INSTRUCTIONS_MAX } from "../../../../src/config/schema/string_match.ts";
import { WEIGHT_MAX } from "../../../../src/config/schema/destination.ts";
import { ENDPOINT_WEIGHT_MAX } from "../../../../src/config/schema/workload_entry.ts";
import { UNIMPLEMENTED_KINDS } from "../../../../src/config/schema/unimplemented.ts";
import { document, findingsOf, load } from "../config_texts.ts";

/** What is wrong with a spec, without position and resource. */
function faults(kind: string, spec: string, apiVersion?: string): string[] {
  return findingsOf([document(kind, "a", spec, apiVersion)])
    .filter((finding) => finding.includes(": error "))
    .map((finding) => finding.replace(/^.*?: error /, "").replace(`${kind} tutorial/a: `, ""));
}

const ROUTE = "route: [{destination: {host: a}}]";

/** A VirtualService with one rule that has the given match block. */
const matching = (match: string) => `hosts: [a]\nhttp: [{match: [${match}], ${ROUTE}}]`;
const matchOf = (match: string) =>
  load(document("VirtualService", "a", matching(match))).virtualServices[0]?.spec.http[0]?.match[0];

describe("VirtualService", () => {
  test("a match keeps every condition", () => {
    const match = matchOf(
      "{name: m, uri: {prefix: /a}, scheme: {exact: http}, method: {regex: GET|PUT}, authority: {exact: x}, " +
        "headers: {A-b: {exact: c}}, withoutHeaders: {d: {}}, queryParams: {Q: {prefix: e}}, port: 80, " +
        "sourceLabels: {app: f}, sourceNamespace: g, gateways: [mesh], ignoreUriCase: true}",
    );
    expect(match).toEqual({
      name: "m",
      uri: { type: "prefix", value: "/a" },
      scheme: { type: "exact", value: "http" },
      method: { type: "regex", value: "GET|PUT" },
      authority: { type: "exact", value: "x" },
      headers: [{ name: "a-b", match: { type: "exact", value: "c" } }],
      withoutHeaders: [{ name: "d", match: { type: "present" } }],
      queryParams: [{ name: "Q", match: { type: "prefix", value: "e" } }],
      port: 80,
      sourceLabels: { app: "f" },
      sourceNamespace: "g",
      gateways: ["mesh"],
      ignoreUriCase: true,
      statPrefix: null,
    });
  });

  test("an empty match and the regex * of a header mean presence", () => {
    const present = [{ name: "a", match: { type: "present" as const } }];
    expect(matchOf("{headers: {a: {}}}")?.headers).toEqual(present);
    expect(matchOf('{headers: {a: {regex: "*"}}}')?.headers).toEqual(present);
    expect(matchOf("{queryParams: {a: {}}}")?.queryParams).toEqual(present);
  });

  test("the empty string is an exact match", () => {
    expect(matchOf('{withoutHeaders: {a: {exact: ""}}}')?.withoutHeaders).toEqual([
      { name: "a", match: { type: "exact", value: "" } },
    ]);
  });

  test("a match without a value is refused, so that no condition is lost", () => {
    expect(faults("VirtualService", matching("{headers: {a: }}"))).toEqual([
      "IST0106 spec.http[0].match[0].headers.a: expected a mapping, found nothing",
    ]);
  });

  test("uri needs exactly one kind of match", () => {
    for (const uri of ["{}", "{exact: /a, prefix: /}"]) {
      expect(faults("VirtualService", matching(`{uri: ${uri}}`))).toEqual([
        "IST0106 spec.http[0].match[0].uri: needs exactly one of exact, prefix and regex",
      ]);
    }
  });

  test("a regex is RE2, and says why when it is not", () => {
    expect(faults("VirtualService", matching("{uri: {regex: '(?i)/a.*'}}"))).toEqual([]);
    for (
      const [regex, reason] of [["(a", "missing closing ): `(a`"], [
        "a(?=b)",
        "invalid or unsupported Perl syntax: `(?=`",
      ]]
    ) {
      expect(faults("VirtualService", matching(`{uri: {regex: "${regex}"}}`))).toEqual([
        `IST0106 spec.http[0].match[0].uri.regex: the regex is not valid in RE2: ${reason}`,
      ]);
    }
  });

  test("a regex has at most its limit of bytes", () => {
    const spec = (length: number) => matching(`{uri: {regex: "${"a".repeat(length)}"}}`);
    expect(faults("VirtualService", spec(REGEX_BYTES_MAX))).toEqual([]);
    expect(faults("VirtualService", spec(REGEX_BYTES_MAX + 1))[0]).toContain("longer than 1024 bytes");
  });

  test("a regex repeats no more than its limit of instructions, and may be as long when it is written out", () => {
    const spec = (source: string) => matching(`{uri: {regex: "${source}"}}`);
    expect(faults("VirtualService", spec(`a{${REGEX_INSTRUCTIONS_MAX - 2}}`))).toEqual([]);
    expect(faults("VirtualService", spec(`a{${REGEX_INSTRUCTIONS_MAX - 1}}`))[0]).toContain(
      `comes to ${
        REGEX_INSTRUCTIONS_MAX + 1
      } instructions by its repetitions, more than ${REGEX_INSTRUCTIONS_MAX}, and would hold up other requests; repeat less`,
    );
    expect(faults("VirtualService", spec("a".repeat(REGEX_INSTRUCTIONS_MAX + 1)))).toEqual([]);
  });

  test("ports reach from 1 to their greatest", () => {
    for (const port of [1, PORT_MAX]) {
      expect(faults("VirtualService", matching(`{port: ${port}}`))).toEqual([]);
    }
    for (const port of [0, PORT_MAX + 1, 1.5, -1]) {
      expect(faults("VirtualService", matching(`{port: ${port}}`))).toHaveLength(1);
    }
  });

  test("weights are whole numbers from 0 to their greatest", () => {
    const spec = (weight: unknown) =>
      `hosts: [a]\nhttp: [{route: [{destination: {host: a}, weight: ${weight}}, {destination: {host: b}, weight: 1}]}]`;
    for (const weight of [0, WEIGHT_MAX]) expect(faults("VirtualService", spec(weight))).toEqual([]);
    for (const weight of [-1, 0.5, WEIGHT_MAX + 1, ".nan", ".inf"]) {
      expect(faults("VirtualService", spec(weight))).toHaveLength(1);
    }
  });

  test("weights that are all 0 are refused among several destinations, and ignored for one", () => {
    const destination = "{destination: {host: a}, weight: 0}";
    expect(faults("VirtualService", `hosts: [a]\nhttp: [{route: [${destination}]}]`)).toEqual([]);
    expect(faults("VirtualService", `hosts: [a]\nhttp: [{route: [${destination}, ${destination}]}]`)).toEqual(
      [
        "IST0106 spec.http[0]: every weight of the route is 0, so no destination would get a request",
      ],
    );
  });

  test("gateways without mesh are valid, and * is a host for gateways alone", () => {
    const spec = (gateways: string) => `hosts: ["*"]\ngateways: [${gateways}]\nhttp: [{${ROUTE}}]`;
    expect(faults("VirtualService", spec("front"))).toEqual([]);
    expect(faults("VirtualService", spec("front, mesh"))).toHaveLength(1);
    expect(faults("VirtualService", spec(""))).toHaveLength(1);
  });

  test("hosts come out in lower case", () => {
    const [rule] =
      load(document("VirtualService", "a", `hosts: [API.Example.COM]\nhttp: [{${ROUTE}}]`)).virtualServices;
    expect(rule?.spec.hosts).toEqual(["api.example.com"]);
  });

  test("a host has at most 253 characters", () => {
    const host = (length: number) => `${"a".repeat(49)}.`.repeat(5) + "a".repeat(length - 250);
    const spec = (length: number) => `hosts: ["${host(length)}"]\nhttp: [{${ROUTE}}]`;
    expect(faults("VirtualService", spec(HOST_LENGTH_MAX))).toEqual([]);
    expect(faults("VirtualService", spec(HOST_LENGTH_MAX + 1))).toHaveLength(1);
  });

  for (const field of ["websocketUpgrade", "appendHeaders", "removeResponseHeaders"]) {
    test(`a rule's ${field} is refused by name, and by nothing else`, () => {
      const found = faults(
        "VirtualService",
        `hosts: [a]\nhttp: [{${ROUTE}, ${field}: {}}, {${ROUTE}, ${field}: 1}]`,
      );
      expect(found.map((fault) => fault.split(":")[0])).toEqual([
        `BOW0004 spec.http[0].${field}`,
        `BOW0004 spec.http[1].${field}`,
      ]);
    });
  }
});

describe("DestinationRule", () => {
  const balancerOf = (simple: string) =>
    load(document("DestinationRule", "a", `host: a\ntrafficPolicy: {loadBalancer: {simple: ${simple}}}`))
      .destinationRules[0]?.spec.trafficPolicy?.loadBalancer?.simple;

  test("load balancers come out under one name each", () => {
    expect(["UNSPECIFIED", "LEAST_REQUEST", "LEAST_CONN", "ROUND_ROBIN", "RANDOM"].map(balancerOf)).toEqual([
      "LEAST_REQUEST",
      "LEAST_REQUEST",
      "LEAST_REQUEST",
      "ROUND_ROBIN",
      "RANDOM",
    ]);
  });

  test("names of balancers are Istio's, in capitals", () => {
    const spec = (simple: string) => `host: a\ntrafficPolicy: {loadBalancer: {simple: ${simple}}}`;
    expect(faults("DestinationRule", spec("PASSTHROUGH"))).toEqual([]);
    expect(faults("DestinationRule", spec("round_robin"))[0]).toContain(
      '"round_robin" is not a load balancer',
    );
    expect(faults("DestinationRule", spec("toString"))).toHaveLength(1);
  });

  test("a subset's name is used once", () => {
    expect(faults("DestinationRule", "host: a\nsubsets: [{name: x}, {name: y}, {name: x}]")).toEqual([
      'IST0106 spec.subsets[2].name: the subset "x" is defined twice',
    ]);
  });

  test("names and labels have their limits of Kubernetes", () => {
    const subset = (name: string, label = "") =>
      `host: a\nsubsets: [{name: ${name}, labels: {x: "${label}"}}]`;
    expect(faults("DestinationRule", subset("a".repeat(LABEL_LENGTH_MAX)))).toEqual([]);
    expect(faults("DestinationRule", subset("a".repeat(LABEL_LENGTH_MAX + 1)))).toHaveLength(1);
    expect(faults("DestinationRule", subset("a", "b".repeat(LABEL_LENGTH_MAX)))).toEqual([]);
    expect(faults("DestinationRule", subset("a", "b".repeat(LABEL_LENGTH_MAX + 1)))).toHaveLength(1);
    for (const label of ["-a", "a b", "a/b", "é"]) {
      expect(faults("DestinationRule", subset("a", label))).toHaveLength(1);
    }
  });
});

describe("Service", () => {
  const faultsOf = (spec: string) => faults("Service", spec, "v1");
  const portsOf = (ports: string) =>
    load(document("Service", "a", `ports: ${ports}`, "v1")).services[0]?.spec.ports;

  test("an address of a service is an IP address, or none", () => {
    for (const fine of ["clusterIP: None", "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, '::1']"]) {
      expect(faultsOf(`{ports: [{port: 80}], ${fine}}`)).toEqual([]);
    }
    for (const bad of ["clusterIP: 10.0.0", "clusterIPs: [web]"]) {
      expect(faultsOf(`{ports: [{port: 80}], ${bad}}`)[0]).toContain('is neither an IP address nor "None"');
    }
  });

  test("targetPort is a number, a name, or the port itself", () => {
    expect(
      portsOf("[{name: a, port: 1, targetPort: 2}, {name: b, port: 3, targetPort: web}, {name: c, port: 4}]"),
    )
      .toMatchObject([{ targetPort: 2 }, { targetPort: "web" }, { targetPort: 4 }]);
    expect(faultsOf("ports: [{port: 1, targetPort: 0}]")).toHaveLength(1);
    expect(faultsOf("ports: [{port: 1, targetPort: A_B}]")).toHaveLength(1);
    expect(faultsOf("ports: [{port: 1, targetPort: {}}]")).toHaveLength(1);
  });

  test("several ports have names, and no two are alike", () => {
    expect(faultsOf("ports: [{port: 1}]")).toEqual([]);
    expect(faultsOf("ports: [{port: 1}, {port: 2, name: b}]")).toEqual([
      "IST0106 spec.ports[0].name: each of several ports needs a name",
    ]);
    expect(faultsOf("ports: [{port: 1, name: a}, {port: 1, name: a}]")).toEqual([
      "IST0106 spec.ports[1].port: the port 1 is defined twice",
      'IST0106 spec.ports[1].name: the port name "a" is used twice',
    ]);
    expect(faultsOf("ports: []")).toEqual(["IST0106 spec.ports: needs at least one port"]);
  });

  test("what is not a plain cluster service over TCP is refused by name", () => {
    for (const type of ["NodePort", "LoadBalancer", "ExternalName"]) {
      expect(faultsOf(`type: ${type}\nports: [{port: 1}]`)[0]).toStartWith("BOW0005 spec.type: ");
    }
    expect(faultsOf("ports: [{port: 1, protocol: UDP}]")[0]).toStartWith("BOW0005 ");
    expect(faultsOf("sessionAffinity: ClientIP\nports: [{port: 1}]")[0]).toStartWith("BOW0005 ");
    expect(faultsOf("externalIPs: []\nports: [{port: 1}]")).toEqual([
      'BOW0004 spec.externalIPs: the field "externalIPs" is Kubernetes\', but this version of bowline does not ' +
      "implement it; remove it, or pass --lenient to load without it",
    ]);
  });
});

describe("ServiceEntry", () => {
  const PORTS = "ports: [{number: 80, name: http, protocol: http}]";

  test("a ServiceEntry comes out with its defaults", () => {
    const text = document("ServiceEntry", "a", `hosts: [a.com]\n${PORTS}`);
    expect(load(text).serviceEntries[0]?.spec).toEqual({
      hosts: ["a.com"],
      addresses: [],
      ports: [{ number: 80, name: "http", protocol: "HTTP", targetPort: 80 }],
      location: "MESH_EXTERNAL",
      resolution: "NONE",
      endpoints: [],
      workloadSelector: null,
      exportTo: [],
      subjectAltNames: [],
    });
  });

  test("endpoints and workloadSelector exclude each other, and endpoints want STATIC", () => {
    const both = `endpoints: [{address: 10.0.0.1}]\nworkloadSelector: {labels: {a: b}}\nresolution: STATIC`;
    expect(faults("ServiceEntry", `hosts: [a.com]\n${PORTS}\n${both}`)).toHaveLength(1);
    const none = `hosts: [a.com]\n${PORTS}\nendpoints: [{address: 10.0.0.1}]`;
    expect(faults("ServiceEntry", none)[0]).toContain("use resolution: STATIC");
    expect(faults("ServiceEntry", `${none}\nresolution: STATIC`)).toEqual([]);
  });

  test("resolutions are Istio's, in capitals", () => {
    for (const resolution of ["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]) {
      expect(faults("ServiceEntry", `hosts: [a.com]\n${PORTS}\nresolution: ${resolution}`)).toEqual([]);
    }
    expect(faults("ServiceEntry", `hosts: [a.com]\n${PORTS}\nresolution: static`)[0]).toStartWith("IST0106 ");
  });

  test("hosts are not *, addresses are addresses or networks", () => {
    expect(faults("ServiceEntry", `hosts: ["*"]\n${PORTS}`)).toHaveLength(1);
    expect(faults("ServiceEntry", `hosts: [a.com]\n${PORTS}\naddresses: [10.0.0.0/8, "::1", "fd00::/64"]`))
      .toEqual([]);
    for (const address of ["10.0.0.0/33", "10.0.0", "a.com", "10.0.0.0/", "::/129"]) {
      expect(faults("ServiceEntry", `hosts: [a.com]\n${PORTS}\naddresses: ["${address}"]`)).toHaveLength(1);
    }
  });
});

describe("WorkloadEntry", () => {
  test("a WorkloadEntry comes out with its defaults", () => {
    expect(load(document("WorkloadEntry", "a", "address: 127.0.0.1")).workloadEntries[0]?.spec).toEqual({
      address: "127.0.0.1",
      ports: {},
      labels: {},
      network: null,
      locality: null,
      weight: 1,
      serviceAccount: null,
    });
  });

  test("addresses are IP addresses, names and sockets", () => {
    for (const address of ['"::1"', "db.example.com", "unix:///run/a.sock"]) {
      expect(faults("WorkloadEntry", `address: ${address}`)).toEqual([]);
    }
    expect(faults("WorkloadEntry", "address: 300.0.0.1")[0]).toStartWith("IST0106 ");
  });

  test("a weight of 0 counts as 1, and weights have their limit", () => {
    const weightOf = (weight: number) =>
      load(document("WorkloadEntry", "a", `address: 1.2.3.4\nweight: ${weight}`)).workloadEntries[0]?.spec
        .weight;
    expect(weightOf(0)).toBe(1);
    expect(weightOf(ENDPOINT_WEIGHT_MAX)).toBe(ENDPOINT_WEIGHT_MAX);
    expect(faults("WorkloadEntry", `address: 1.2.3.4\nweight: ${ENDPOINT_WEIGHT_MAX + 1}`)).toHaveLength(1);
  });
});

describe("metadata", () => {
  const named = (name: string) => findingsOf([document("WorkloadEntry", name, "address: 1.2.3.4")]);

  test("a name is a DNS-1123 subdomain of at most 253 characters", () => {
    expect(named("a.b-c.1")).toEqual([]);
    expect(named("a".repeat(SUBDOMAIN_LENGTH_MAX))).toEqual([]);
    for (const name of ["A", "a_b", "-a", "a-", "a..b", "a".repeat(SUBDOMAIN_LENGTH_MAX + 1)]) {
      expect(named(name)).toHaveLength(1);
    }
  });

  test("an unimplemented kind is refused by name", () => {
    for (const kind of UNIMPLEMENTED_KINDS) {
      expect(findingsOf([`kind: ${kind}\n`])).toEqual([
        `mesh.yaml:1:7: error BOW0007 kind: the kind ${kind} is Istio's, but this version of bowline does not ` +
        "implement it; remove it, or pass --lenient to load without it",
      ]);
    }
  });
});
