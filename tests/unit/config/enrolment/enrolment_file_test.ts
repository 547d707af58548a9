import { describe, expect, test } from "bun:test";
import { readEnrolmentFile } from "../../../../src/config/enrolment/enrolment_file.ts";
import { formatFinding } from "../../../../src/config/format_finding.ts";

const ISSUER = `issuers:
- issuer: https://cluster.example
  audiences: [bowline]
  jwksUri: https://cluster.example/keys
  rules:
  - { workload: "shop/{claims[sub]}" }
`;

function read(text: string) {
  return readEnrolmentFile({ file: "enrolment.yaml", text });
}

describe("readEnrolmentFile()", () => {
  test("readEnrolmentFile() fills in what is not written", () => {
    expect(read(ISSUER)).toEqual({
      issuers: [{
        issuer: "https://cluster.example",
        audiences: ["bowline"],
        jwksFile: null,
        jwksUri: "https://cluster.example/keys",
        algorithms: ["RS256", "ES256"],
        tokenLifetimeMax: 3_600_000,
        rules: [{ when: [], workload: ["shop/", ["sub"]], group: null }],
      }],
      findings: [],
    });
  });

  const mistakes: [what: string, from: string, to: string, said: string][] = [
    ["an unknown field", "audiences", "audience", "3:3: error BOW0003 issuers[0].audience: unknown field"],
    ["no audience", "[bowline]", "[]", "needs at least an audience: tokens for others must not be good here"],
    [
      "a shared secret",
      "jwksUri:",
      "algorithms: [HS256]\n  jwksUri:",
      '"HS256" is not a signature; one of RS256',
    ],
    ["no signature", "jwksUri:", "algorithms: [none]\n  jwksUri:", '"none" is not a signature'],
    ["plain text", "https://cluster.example/keys", "http://cluster.example/keys", "is no URL for keys"],
    ["a file's URL", "https://cluster.example/keys", "file:///etc/passwd", "is no URL for keys"],
    ["a password", "https://cluster.example/keys", "https://a:b@cluster.example/", "is no URL for keys"],
    [
      "an address like one",
      "https://cluster.example/keys",
      "http://127.0.0.1.example/",
      "is no URL for keys",
    ],
    ["no keys", "  jwksUri: https://cluster.example/keys\n", "", "needs either jwksFile or jwksUri"],
    ["both keys", "jwksUri:", "jwksFile: keys.json\n  jwksUri:", "needs either jwksFile or jwksUri"],
    ["no rule", '\n  - { workload: "shop/{claims[sub]}" }', " []", "needs at least a rule"],
    ["both targets", "workload:", "group: shop/web, workload:", "needs either a workload or a group"],
    ["a template that is none", "{claims[sub]}", "{sub}", "is no template"],
    [
      "a condition without one",
      "workload:",
      'when: [{ claim: "claims[a]" }], workload:',
      "either exact or prefix",
    ],
    ["a claim that is none", "workload:", "when: [{ claim: sub, exact: a }], workload:", '"sub" is no claim'],
    ["two documents", "issuers:", "a: b\n---\nissuers:", "one document with a list of issuers"],
  ];
  test.each(mistakes)("readEnrolmentFile() refuses %s", (_what, from, to, said) => {
    expect(ISSUER).toContain(from);
    const { issuers, findings } = read(ISSUER.replace(from, to));
    expect(issuers).toBeNull();
    expect(findings.map(formatFinding).join("\n")).toContain(said);
  });

  test("readEnrolmentFile() refuses an issuer that stands there twice, and an empty file", () => {
    const twice = ISSUER + ISSUER.slice("issuers:\n".length);
    expect(read(twice).findings.map(formatFinding).join()).toContain("an issuer stands here twice");
    expect(read("").issuers).toBeNull();
  });

  test("readEnrolmentFile() survives what is 100,000 deep", () => {
    for (
      const text of ["[".repeat(100_000), "a: ".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)]
    ) {
      expect(read(text).issuers).toBeNull();
    }
  });
});
