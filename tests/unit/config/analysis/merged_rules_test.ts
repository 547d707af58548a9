/** Rules of several VirtualServices for one host of a gateway, which tries them one after the other. */
import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";
import { A, ROUTE, rule } from "../found.ts";

const PATH_A = rule("{uri: {prefix: /a}}");
const ALL = `{${ROUTE}}`;

function server(port: number, host: string, tls = ""): string {
  return `{port: {number: ${port}, name: p${port}, protocol: HTTP}, hosts: ["${host}"]${tls}}`;
}

const gateway = (...servers: string[]): Written => [
  "Gateway",
  "front",
  `selector: {app: a}\nservers: [${servers.join(", ")}]`,
];

const FRONT = gateway(server(80, "*"));

function bound(name: string, host: string, http: readonly string[], more = ""): Written {
  return [
    "VirtualService",
    name,
    `hosts: ["${host}"]\ngateways: [front]\n${more}\nhttp: [${http.join(", ")}]`,
  ];
}

/** `NAME FIELD` of each rule that is never reached. */
function unreached(...written: Written[]): string[] {
  return analyze(resourcesOf([A, ...written]))
    .filter(({ code }) => code === "IST0130")
    .map(({ resource, field }) => `${resource?.split("/")[1]} ${field?.slice("spec.".length)}`);
}

describe("unreachableRules at gateways", () => {
  test("a rule after those of another VirtualService that take all its requests is never reached", () => {
    const [one, two] = [bound("one", "x.test", [PATH_A, ALL]), bound("two", "x.test", [PATH_A, ALL])];
    expect(unreached(FRONT, one, two)).toEqual(["two http[0]", "two http[1]"]);
    const [found] = analyze(resourcesOf([A, FRONT, one, two])).filter(({ code }) => code === "IST0130");
    expect(found).toMatchObject({
      message:
        "the rule is never reached: http[0] of VirtualService tutorial/one takes all that it would match",
      hint: "write both into one VirtualService in the order that is meant, or remove it",
    });
  });

  test("what takes everything is tried last, wherever it stands", () => {
    expect(unreached(FRONT, bound("one", "x.test", [ALL]), bound("two", "x.test", [PATH_A]))).toEqual([]);
    const everyPath = [rule("{uri: {prefix: /}, port: 80}"), rule("{uri: {regex: .*}}")];
    for (const first of everyPath) {
      expect(unreached(FRONT, bound("one", "x.test", [first]), bound("two", "x.test", [PATH_A]))).toEqual([]);
    }
  });

  test("one that has the host to itself somewhere is reached there", () => {
    const [one, two] = [bound("one", "x.test", [ALL]), bound("two", "x.test", [ALL])];
    expect(unreached(FRONT, one, two)).toEqual(["two http[0]"]);
    const wide = bound("two", "*.test", [ALL]);
    expect(unreached(FRONT, one, wide)).toEqual([]);
    // The server has the one host alone, and so the other VirtualService no more than that.
    expect(unreached(gateway(server(80, "x.test")), one, wide)).toEqual(["two http[0]"]);
    expect(unreached(gateway(server(80, "x.test"), server(81, "*")), one, wide)).toEqual([]);
  });

  test("sidecars merge nothing, and who is hidden from some gateway takes nothing", () => {
    const meshToo: Written = [
      "VirtualService",
      "two",
      `hosts: [x.test]\ngateways: [front, mesh]\nhttp: [${ALL}]`,
    ];
    expect(unreached(FRONT, bound("one", "x.test", [ALL]), meshToo)).toEqual([]);
    const hidden = bound("one", "x.test", [ALL], "exportTo: [.]");
    expect(unreached(FRONT, hidden, bound("two", "x.test", [ALL]))).toEqual([]);
  });

  test("a rule for another port or gateway takes nothing here, and one that redirects has no rules", () => {
    const elsewhere = [rule("{port: 81}"), rule("{gateways: [other]}")];
    expect(unreached(FRONT, bound("one", "x.test", elsewhere), bound("two", "x.test", [ALL]))).toEqual([]);
    const redirecting = gateway(server(80, "*", ", tls: {httpsRedirect: true}"));
    expect(unreached(redirecting, bound("one", "x.test", [ALL]), bound("two", "x.test", [ALL]))).toEqual([]);
  });
});
