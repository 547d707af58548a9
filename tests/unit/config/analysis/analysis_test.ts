import { describe, expect, test } from "bun:test";
import { document, findingsOf, service } from "../config_texts.ts";

const route = (destination: string, name = "a", rest = "") =>
  document(
    "VirtualService",
    name,
    `hosts: [${name}]\n${rest}\nhttp: [{route: [{destination: ${destination}}]}]`,
  );

/** Of warnings and errors. */
const codes = (...texts: string[]) =>
  findingsOf(texts).flatMap((finding) => / (?:warning|error) (\w+) /.exec(finding)?.[1] ?? []);

describe("analyze()", () => {
  test("analyze() says nothing of references that hold", () => {
    const rule = document(
      "DestinationRule",
      "a",
      "host: a.tutorial.svc.cluster.local\nsubsets: [{name: v1}]",
    );
    expect(codes(service("a"), rule, route("{host: a, subset: v1, port: {number: 8080}}"))).toEqual([]);
  });

  test("analyze() warns of a host that nothing defines, with what was meant", () => {
    expect(findingsOf([service("recommendation"), route("{host: recomendation}", "recommendation")])).toEqual(
      [
        "mesh.yaml:18:40: warning IST0101 VirtualService tutorial/recommendation: spec.http[0].route[0].destination.host: no " +
        "Service or ServiceEntry defines the host recomendation.tutorial.svc.cluster.local; requests routed there " +
        'are answered 503; did you mean "recommendation"?',
      ],
    );
  });

  test("analyze() finds hosts in ServiceEntries; a wildcard is a host, and not all that it covers", () => {
    const entry = document(
      "ServiceEntry",
      "e",
      'hosts: ["*.x.com", y.com]\nports: [{number: 80, name: http, protocol: HTTP}]',
    );
    expect(codes(entry, route('{host: "*.x.com"}', "a.x.com"), route("{host: y.com}", "y.com"))).toEqual([]);
    expect(codes(entry, route("{host: a.x.com}", "a.x.com"))).toEqual(["IST0101"]);
    expect(codes(entry, route("{host: x.com}", "y.com"))).toEqual(["IST0101"]);
  });

  test("analyze() resolves a short name in the rule's namespace", () => {
    const other = route("{host: a}").replace("hosts: [a]", "hosts: [a.com]")
      .replace("namespace: tutorial", "namespace: other");
    expect(codes(service("a"), other)).toEqual(["IST0101"]);
  });

  test("analyze() warns of a subset that nothing defines", () => {
    const rule = document("DestinationRule", "a", "host: a\nsubsets: [{name: version-v1}]");
    expect(findingsOf([service("a"), rule, route("{host: a, subset: version-v11}")])[0]).toEndWith(
      'no DestinationRule for a.tutorial.svc.cluster.local defines the subset "version-v11"; requests routed there ' +
        'are answered 503; did you mean "version-v1"?',
    );
    expect(codes(service("a"), route("{host: a, subset: v1}"))).toEqual(["IST0101"]);
  });

  test("analyze() says one thing of an unknown host with a subset", () => {
    expect(codes(service("a"), route("{host: b, subset: v1, port: {number: 1}}"))).toEqual(["IST0101"]);
  });

  test("analyze() wants a port where a service has several, and one that is there", () => {
    const two = service("a", [80, 81]);
    expect(codes(two, route("{host: a}"))).toEqual(["IST0112"]);
    expect(codes(two, route("{host: a, port: {number: 81}}"))).toEqual([]);
    expect(codes(two, route("{host: a, port: {number: 82}}"))).toEqual(["IST0101"]);
  });

  test("analyze() warns of a DestinationRule for a host that nothing defines", () => {
    expect(codes(service("a"), document("DestinationRule", "b", "host: b"))).toEqual(["IST0174"]);
    expect(codes(service("a"), document("DestinationRule", "b", 'host: "*.svc.cluster.local"'))).toEqual([]);
  });

  test("analyze() warns of two VirtualServices for one host in the mesh", () => {
    const second = route("{host: a}", "b").replace("hosts: [b]", "hosts: [A.tutorial.svc.cluster.local]");
    expect(findingsOf([service("a"), route("{host: a}"), second])).toEqual([
      "mesh.yaml:26:11: warning IST0109 VirtualService tutorial/b: spec.hosts[0]: VirtualService tutorial/a " +
      "(mesh.yaml:10:1) already routes a.tutorial.svc.cluster.local, and a sidecar uses one VirtualService per " +
      "host; merge their rules into one",
    ]);
  });

  test("analyze() lets VirtualServices share a host that no sidecar sees in both", () => {
    const own = (name: string, namespace: string, exportTo: string, more = "") =>
      route("{host: a.tutorial.svc.cluster.local}", name, `exportTo: [${exportTo}]\n${more}`)
        .replace(`hosts: [${name}]`, "hosts: [a.com]").replace(
          "namespace: tutorial",
          `namespace: ${namespace}`,
        );
    expect(codes(service("a"), own("x", "one", '"."'), own("y", "two", '"."'))).toEqual([]);
    expect(codes(service("a"), own("x", "one", '"."'), own("y", "two", "one"))).toEqual(["IST0109"]);
    expect(codes(service("a"), own("x", "one", '"*"'), own("y", "two", '"~"'))).toEqual([]);
    expect(codes(service("a"), own("x", "one", '"*"', "gateways: [front]"), own("y", "two", '"*"'))).toEqual(
      ["IST0101"],
    );
  });
});
