/** Which tokens pass, and what becomes of a request: each way past a check of tokens that others have had. */
import { createHmac } from "node:crypto";
import { beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { ManualClock } from "../../../../src/lib/clock.ts";
import type { JwtRule } from "../../../../src/model/jwt_rule.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { inlineKeys, type KeySource, NO_KEYS } from "../../../../src/proxy/jwt/key_source.ts";
import { TokenCheck, TOKENS_MAX } from "../../../../src/proxy/jwt/token_check.ts";
import { TOKEN_CHARACTERS_MAX, VERIFICATIONS_MAX } from "../../../../src/proxy/jwt/token_verifier.ts";
import {
  bearer,
  head,
  ISSUER,
  jwksOf,
  key,
  NOW,
  NOW_MS,
  rule,
  sign,
  type TestKey,
  unsigned,
} from "./tokens.ts";

const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

let rsa: TestKey;
let ec: TestKey;
let stranger: TestKey;

beforeAll(async () => {
  [rsa, ec, stranger] = await Promise.all([key("RS256", "one"), key("ES256", "two"), key("ES256", "two")]);
});

interface Verdict {
  readonly status: number;
  readonly text: string;
  readonly head: RequestHead;
}

function checkOf(rules: readonly JwtRule[], keys: KeySource = inlineKeys(jwksOf(rsa, ec)), nowMs = NOW_MS) {
  const clock = new ManualClock(nowMs);
  const verifications = { count: 0 };
  return { check: new TokenCheck(rules, () => keys, { clock, verifications }), clock, verifications };
}

async function verdict(check: TokenCheck, request: RequestHead): Promise<Verdict> {
  const refusal = await check.check(request);
  return { status: refusal?.status ?? 200, text: refusal?.text ?? "", head: request };
}

async function judge(token: string, more: Partial<JwtRule> = {}, jwks = jwksOf(rsa, ec)): Promise<Verdict> {
  return await verdict(checkOf([rule(more)], inlineKeys(jwks)).check, bearer(token));
}

describe("TokenCheck", () => {
  test.each(ALGORITHMS)("takes %s, and not with another's signature", async (alg) => {
    const own = await key(alg);
    const token = await sign(own);
    expect((await judge(token, {}, jwksOf(own))).status).toBe(200);
    const [header, payload] = token.split(".");
    const other = (await sign(await key(alg))).split(".")[2];
    const forged = await judge(`${header}.${payload}.${other}`, {}, jwksOf(own));
    expect([forged.status, forged.text]).toEqual([401, "Jwt verification fails"]);
  });

  test("lets a request without a token go on as it is", () => {
    const { check } = checkOf([rule()]);
    const request = head(["authorization", "Basic eA=="], "/?a=b");
    expect(check.check(request)).toBeNull();
    expect(request).toEqual(head(["authorization", "Basic eA=="], "/?a=b"));
    expect("auth" in request).toBe(false);
  });

  test("says who the token is for, takes it out, and tells the workload what it is to know", async () => {
    const token = await sign(rsa, {
      name: "Änn",
      n: 3,
      ok: true,
      roles: ["a"],
      realm: { id: "r" },
      "a.b": "c",
    });
    const claims = ["name", "n", "ok", "roles", "realm.id", "a.b", "nothing", "toString"];
    const { check } = checkOf([rule({
      payloadHeader: "x-payload",
      claimHeaders: claims.map((claim) => ({ header: `x-${claim.toLowerCase()}`, claim })),
    })]);
    const forged = ["x-payload", "forged", "x-name", "forged", "x-nothing", "forged", "x-other", "kept"];
    const { head: passed, status } = await verdict(
      check,
      head([...forged, "authorization", `Bearer ${token}`]),
    );
    expect(status).toBe(200);
    expect(passed.headers).toEqual([
      ...["x-other", "kept", "x-payload", token.split(".")[1] as string, "x-name", "\xc3\x84nn"],
      ...["x-n", "3", "x-ok", "true", "x-realm.id", "r", "x-a.b", "c"],
    ]);
    expect(passed.auth?.principal).toBe(`${ISSUER}/ann`);
    // The same for whoever has no token.
    const { head: without } = await verdict(check, head([...forged]));
    expect(without.headers).toEqual(["x-other", "kept"]);
  });

  test("a claim cannot bring a header of its own", async () => {
    const token = await sign(rsa, { name: "a\r\nx-admin: 1" });
    const claimHeaders = [{ header: "x-name", claim: "name" }];
    const { head: passed } = await judge(token, { claimHeaders });
    expect(passed.headers).toEqual([]);
  });

  test("forwards the token where the rule says so", async () => {
    const token = await sign(rsa);
    const { head: passed } = await judge(token, { forwards: true });
    expect(passed.headers).toEqual(["authorization", `Bearer ${token}`]);
  });

  test("no token of another key, without a signature, or for others", async () => {
    const claims = { iss: ISSUER, sub: "ann", exp: NOW + 300 };
    const publicKey = Buffer.from(JSON.stringify(rsa.jwk));
    const hmac = (secret: Buffer, kid: string) => {
      const text = unsigned({ alg: "HS256", kid }, claims).split(".").slice(0, 2).join(".");
      return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
    };
    const modulus = Buffer.from(rsa.jwk["n"] as string, "base64url");
    const signed = await sign(ec);
    const refused: [string, string][] = [
      ["Jwt header [alg] is not supported", unsigned({ alg: "none" }, claims)],
      ["Jwt header [alg] is not supported", unsigned({ alg: "None", kid: "one" }, claims)],
      ["Jwt signature is an invalid Base64url encoded", unsigned({ alg: "none" }, claims, "")],
      ["Jwt header [alg] is not supported", hmac(publicKey, "one")],
      ["Jwt header [alg] is not supported", hmac(modulus, "one")],
      ["Jwt header [alg] is not supported", unsigned({}, claims)],
      ["Jwt header [kid] field is not a string", unsigned({ alg: "ES256", kid: ["two"] }, claims)],
      [
        "Jwt header [crit] is not supported",
        await sign(ec, {}, { crit: ["exp"], exp: 1 }).catch(() =>
          unsigned({ alg: "ES256", kid: "two", crit: ["b64"], b64: false }, claims)
        ),
      ],
      ["Jwt verification fails", await sign(stranger)],
      ["Jwt verification fails", unsigned({ alg: "ES256", kid: "two" }, claims)],
      // Its own key, named by itself.
      ["Jwt verification fails", await sign(stranger, {}, { jwk: stranger.jwk, jku: "https://evil.test" })],
      ["Jwks doesn't have key to match kid or alg from Jwt", await sign({ ...ec, kid: null })],
      ["Jwks doesn't have key to match kid or alg from Jwt", await sign({ ...ec, kid: "three" })],
      ["Jwks doesn't have key to match kid or alg from Jwt", await sign({ ...ec, kid: "one" })],
      ["Jwks doesn't have key to match kid or alg from Jwt", await sign({ ...ec, kid: "" })],
      ["Jwt issuer is not configured", await sign(ec, { iss: `${ISSUER}/` })],
      ["Jwt issuer is not configured", await sign(ec, { iss: ISSUER.toUpperCase() })],
      ["Jwt issuer is not configured", await sign(ec, { iss: undefined })],
      ["Jwt issuer is not configured", await sign(ec, { iss: [ISSUER] as unknown as string })],
      ["Jwt is expired", await sign(ec, { exp: NOW - 61 })],
      ["Jwt is expired", await sign(ec, { exp: 0 })],
      ["Jwt not yet valid", await sign(ec, { nbf: NOW + 61 })],
      [
        "Jwt payload [exp] or [nbf] field is not a number of seconds",
        unsigned(
          { alg: "ES256", kid: "two" },
          { ...claims, exp: "9999999999" },
        ),
      ],
      ["Audiences in Jwt are not allowed", await sign(ec, { aud: ["other", "web2"] })],
      ["Audiences in Jwt are not allowed", await sign(ec)],
      ["Jwt payload [aud] field is not a string or a list of strings", await sign(ec, { aud: [1] as never })],
      ["Jwt payload [sub] field is not a string", await sign(ec, { sub: 1 as never, aud: "web" })],
      ["Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", ""],
      ["Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", "a.b"],
      ["Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", `${signed}.x.y`],
      ["Jwt header is an invalid JSON", "!.e30.AAAA"],
      ["Jwt header is an invalid JSON", "W10.e30.AAAA"],
      ["Jwt payload is an invalid JSON", `${signed.split(".")[0]}.e3.AAAA`],
      ["Jwt is too large", await sign(ec, { pad: "x".repeat(TOKEN_CHARACTERS_MAX) })],
    ];
    for (const [text, token] of refused) {
      const audiences = /udience|\[sub\]/.test(text) ? ["web"] : [];
      const { status, text: said, head } = await judge(token, { audiences });
      expect([status, said]).toEqual([401, text]);
      expect(head.auth).toBeUndefined();
    }
  });

  test("a token at the limit passes", async () => {
    const [header, , signature] = (await sign(ec)).split(".") as [string, string, string];
    const rest = TOKEN_CHARACTERS_MAX - header.length - signature.length - 2;
    const pad = Math.floor(rest * 3 / 4) - 70;
    let token = "";
    for (let more = 0; token.length < TOKEN_CHARACTERS_MAX; more++) {
      const next = await sign(ec, { pad: "x".repeat(pad + more) });
      if (next.length > TOKEN_CHARACTERS_MAX) break;
      token = next;
    }
    expect(token.length).toBeGreaterThan(TOKEN_CHARACTERS_MAX - 4);
    expect((await judge(token)).status).toBe(200);
  });

  test("clocks may differ by a minute", async () => {
    expect((await judge(await sign(ec, { exp: NOW - 60 }))).status).toBe(200);
    expect((await judge(await sign(ec, { nbf: NOW + 60 }))).status).toBe(200);
    expect((await judge(await sign(ec, { exp: undefined }))).status).toBe(200);
  });

  test("any of the audiences suffices", async () => {
    const audiences = ["web", "app"];
    expect((await judge(await sign(ec, { aud: "app" }), { audiences })).status).toBe(200);
    expect((await judge(await sign(ec, { aud: ["x", "web"] }), { audiences })).status).toBe(200);
  });

  test("a name that two keys have names none, and a key without a name is meant by who names none", async () => {
    const [other, nameless] = await Promise.all([key("ES256", "two"), key("ES256", null)]);
    expect((await judge(await sign(ec), {}, jwksOf(ec, other))).text).toContain("doesn't have key");
    expect((await judge(await sign(nameless), {}, jwksOf(nameless, ec))).status).toBe(200);
    const twice = jwksOf(nameless, await key("ES256", null));
    expect((await judge(await sign(nameless), {}, twice)).text).toContain("doesn't have key");
  });

  test("a key is for what it says that it is for", async () => {
    const of = (more: object) => JSON.stringify({ keys: [{ ...rsa.jwk, ...more }, ec.jwk] });
    const status = async (more: object, alg = "RS256") =>
      (await judge(await sign({ ...rsa, alg }), {}, of(more))).status;
    expect(await status({ use: "sig", key_ops: ["verify"], alg: "RS256" })).toBe(200);
    expect(await status({ use: "enc" })).toBe(401);
    expect(await status({ key_ops: ["encrypt"] })).toBe(401);
    expect(await status({ alg: "PS256" })).toBe(401);
    expect(await status({ alg: "RSA-OAEP" })).toBe(401);
  });

  test("each of several tokens has to hold, and only so many are looked at", async () => {
    const [good, bad] = await Promise.all([sign(ec), sign(stranger)]);
    const { check } = checkOf([rule()]);
    const both = (first: string, second: string) =>
      head(["authorization", `Bearer ${first}`], `/?access_token=${second}`);
    expect((await verdict(check, both(good, good))).status).toBe(200);
    expect((await verdict(check, both(good, bad))).status).toBe(401);
    expect((await verdict(check, both(bad, good))).status).toBe(401);
    const many = (count: number) =>
      head(Array<string[]>(count).fill(["authorization", `Bearer ${good}`]).flat());
    expect((await verdict(check, many(TOKENS_MAX))).status).toBe(200);
    expect((await verdict(check, many(TOKENS_MAX + 1))).text).toBe("Too many Jwts in one request");
  });

  test("of several rules the first that takes a token counts, and the telling reason is given", async () => {
    const elsewhere = { headers: [{ name: "x-token", prefix: "" }], params: [] };
    const rules = [rule({ issuer: "other" }), rule(), rule({ ...elsewhere, issuer: "third" })];
    const { check } = checkOf(rules);
    expect((await verdict(check, bearer(await sign(ec)))).head.auth?.principal).toBe(`${ISSUER}/ann`);
    expect((await verdict(check, bearer(await sign(ec, { iss: "other" })))).head.auth?.principal).toBe(
      "other/ann",
    );
    expect((await verdict(check, bearer(await sign(ec, { iss: "third" })))).text).toBe(
      "Jwt issuer is not configured",
    );
    expect((await verdict(check, bearer(await sign(ec, { exp: 1 })))).text).toBe("Jwt is expired");
    const third = head(["x-token", await sign(ec, { iss: "third" })]);
    expect((await verdict(check, third)).head.auth?.principal).toBe("third/ann");
  });

  test("a token that is known is answered at once, until it expires or its key goes", async () => {
    let keys = inlineKeys(jwksOf(ec)).current();
    const source: KeySource = { current: () => keys, renewed: () => null };
    const { check, clock } = checkOf([rule()], source);
    const token = await sign(ec);
    expect(check.check(bearer(token))).toBeInstanceOf(Promise);
    expect((await verdict(check, bearer(token))).status).toBe(200);
    const again = bearer(token);
    expect(check.check(again)).toBeNull();
    expect(again.auth?.principal).toBe(`${ISSUER}/ann`);
    clock.advance(361_000);
    expect((await verdict(check, bearer(token))).text).toBe("Jwt is expired");
    const later = await sign(ec, { exp: NOW + 10_000 });
    expect((await verdict(check, bearer(later))).status).toBe(200);
    keys = inlineKeys(jwksOf(rsa)).current();
    expect((await verdict(check, bearer(later))).status).toBe(401);
    keys = null;
    expect((await verdict(check, bearer(later))).text).toBe("Jwks remote fetch is failed");
  });

  test("an unknown key is asked for once more, and a known one is not", async () => {
    const [old, next] = [inlineKeys(jwksOf(ec)).current(), inlineKeys(jwksOf(rsa)).current()];
    let asked = 0;
    const source: KeySource = {
      current: () => old,
      renewed: () => {
        asked++;
        return Promise.resolve(next as Awaited<typeof next>);
      },
    };
    const { check } = checkOf([rule()], source);
    expect((await verdict(check, bearer(await sign(ec)))).status).toBe(200);
    expect(asked).toBe(0);
    expect((await verdict(check, bearer(await sign(rsa)))).status).toBe(200);
    expect(asked).toBe(1);
  });

  test("without keys nothing passes, and no more wait than may", async () => {
    expect((await verdict(checkOf([rule()], NO_KEYS).check, bearer(await sign(ec)))).text).toBe(
      "Jwks remote fetch is failed",
    );
    const never: KeySource = { current: () => new Promise(() => {}), renewed: () => null };
    const { check, verifications } = checkOf([rule()], never);
    const token = await sign(ec);
    for (let i = 0; i < VERIFICATIONS_MAX; i++) void check.check(bearer(token));
    expect(verifications.count).toBe(VERIFICATIONS_MAX);
    expect((await verdict(check, bearer(token))).status).toBe(503);
  });

  test("says in the answer what Envoy says, and never repeats the token", async () => {
    const refusal = await checkOf([rule()]).check.check(head([], '/a"b?access_token=secret'));
    expect(refusal).toMatchObject({
      status: 401,
      details:
        "jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}",
      headers: ["www-authenticate", 'Bearer realm="http://web/ab", error="invalid_token"'],
    });
    expect(JSON.stringify(refusal)).not.toContain("secret");
  });

  test("jose's own tokens with other types of header are taken as they are", async () => {
    const token = await new SignJWT({ iss: ISSUER, sub: "ann" })
      .setProtectedHeader({ alg: "ES256", kid: "two", typ: "at+jwt" }).sign(ec.privateKey);
    expect((await judge(token)).status).toBe(200);
  });
});
