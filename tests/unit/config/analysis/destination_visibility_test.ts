import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { document, resourcesIn, resourcesOf, type Written } from "../config_texts.ts";

const A: Written = ["Service", "a", "selector: {app: a}\nports: [{name: http, port: 80}]"];

/** `CODE FIELD` of what is found beside a service. */
function found(...written: Written[]): string[] {
  return analyze(resourcesOf([A, ...written])).map(({ code, field }) => `${code} ${field}`);
}

describe("destinationVisibility", () => {
  const hidden = (exportTo: string): Written => [
    "ServiceEntry",
    "e",
    `hosts: [x.com, "*.y.com"]\nexportTo: [${exportTo}]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: NONE`,
    "owner",
  ];
  const routed = (host: string, more = ""): Written => [
    "VirtualService",
    "v",
    `hosts: [a]\n${more}\nhttp: [{route: [{destination: {host: ${host}}}]}]`,
  ];
  const blind = ["IST0101 spec.http[0].route[0].destination.host"];

  test("finds a host that the rule's own namespace does not see", () => {
    expect(found(hidden("."), routed("x.com"))).toEqual(blind);
    expect(found(hidden("."), routed("'*.y.com'"))).toEqual(blind);
    expect(found(hidden("tutorial"), routed("x.com"))).toEqual([]);
    expect(found(hidden('"*"'), routed("x.com"))).toEqual([]);
  });

  test("finds a host that one of the namespaces does not see that the rule is exported to", () => {
    expect(found(hidden("tutorial"), routed("x.com", "exportTo: [., other]"))).toEqual(blind);
    expect(found(hidden("tutorial, other"), routed("x.com", "exportTo: [., other]"))).toEqual([]);
  });

  test("reads the annotation of a Service", () => {
    const text = (namespace: string) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: owner, annotations: {networking.istio.io/exportTo: "., ${namespace}"}}\n` +
      "spec: {selector: {app: s}, ports: [{name: http, port: 80}]}\n---\n" +
      document(
        "VirtualService",
        "v",
        "hosts: [x.com]\nexportTo: [.]\nhttp: [{route: [{destination: {host: s.owner.svc.cluster.local}}]}]",
      );
    const codes = (namespace: string) => analyze(resourcesIn(text(namespace))).map(({ code }) => code);
    expect(codes("other")).toContain("IST0101");
    expect(codes("tutorial")).not.toContain("IST0101");
  });
});
