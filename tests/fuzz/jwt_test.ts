import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JwksError, readJwks } from "../../src/model/jwks.ts";
import { outputHeaders } from "../../src/proxy/jwt/output_headers.ts";
import { parseJwt } from "../../src/proxy/jwt/parsed_jwt.ts";
import { requestAuthOf } from "../../src/proxy/jwt/request_auth.ts";
import { rule } from "../unit/proxy/jwt/tokens.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

const part = (json: fc.Arbitrary<unknown>) =>
  json.map((value) => Buffer.from(JSON.stringify(value) ?? "").toString("base64url"));
const anything = fc.jsonValue();
const header = fc.record(
  {
    alg: fc.oneof(fc.constantFrom("ES256", "RS256", "none", "HS256"), anything),
    kid: anything,
    crit: anything,
  },
  { requiredKeys: ["alg"] },
);
const claims = fc.record(
  {
    iss: anything,
    sub: anything,
    aud: anything,
    exp: anything,
    nbf: anything,
    scope: anything,
    name: fc.oneof(fc.string({ unit: "binary" }), anything),
    "__proto__": anything,
  },
  { requiredKeys: [] },
);
const token = fc.oneof(
  fc.string(),
  fc.tuple(part(fc.oneof(header, anything)), part(fc.oneof(claims, anything)), part(anything))
    .map((parts) => parts.join(".")),
);

const member = fc.oneof(
  fc.string(),
  fc.constantFrom("RSA", "EC", "OKP", "oct", "P-256", "sig", "AQAB"),
  anything,
);
const jwk = fc.dictionary(
  fc.constantFrom("kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "d", "k"),
  member,
);

describe("tokens", () => {
  test("parseJwt() refuses, or says what policies and headers can be made of", () => {
    const output = rule({ payloadHeader: "x", claimHeaders: [{ header: "y", claim: "name" }] });
    fc.assert(
      fc.property(token, (text) => {
        const parsed = parseJwt(text);
        if (typeof parsed === "string") return;
        expect(parsed.alg).toMatch(/^(ES|RS)256$/);
        const { audiences, principal } = requestAuthOf(parsed.claims, ["name"]);
        for (const one of [...audiences, principal]) expect(typeof one).toBe("string");
        for (const value of outputHeaders(parsed, output)) expect(value).toMatch(/^[\x20-\x7e\x80-\xff]*$/);
      }),
      { numRuns: RUNS },
    );
  });

  test("readJwks() refuses a set, or gives keys of which none is a secret", () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.record({ keys: fc.array(jwk) })), (value) => {
        let keys: readonly object[] = [];
        try {
          keys = readJwks(JSON.stringify(value)).keys;
        } catch (error) {
          expect(error).toBeInstanceOf(JwksError);
        }
        for (const key of keys) {
          for (const name of Object.keys(key)) {
            expect(["kty", "kid", "alg", "crv", "n", "e", "x", "y"]).toContain(name);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });
});
