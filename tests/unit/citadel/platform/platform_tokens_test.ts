import { describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { PlatformTokens } from "../../../../src/citadel/platform/platform_tokens.ts";
import type { PlatformIssuer } from "../../../../src/config/enrolment/enrolment_file.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { START_MS } from "../test_citadel.ts";

const NOW = START_MS / 1000;
const ISSUER: PlatformIssuer = {
  ...{ issuer: "https://platform.test", audiences: ["bowline"], algorithms: ["RS256", "ES256"], rules: [] },
  ...{ jwksFile: "keys.json", jwksUri: null, tokenLifetimeMax: 3_600_000 },
};

/** An issuer whose keys are in a file of this text. */
function tokensOf(keys: string, issuer = ISSUER): PlatformTokens {
  const tokens = new PlatformTokens({
    clock: new ManualClock(START_MS),
    readFile: (path) =>
      path === "keys.json" ? Promise.resolve(keys) : Promise.reject(new Error("no such file")),
    fetchKeys: () => Promise.resolve(new Response(keys)),
  });
  tokens.use([issuer]);
  return tokens;
}

async function signed(key: Parameters<SignJWT["sign"]>[0], alg: string, more: object = {}): Promise<string> {
  const claims = { iss: ISSUER.issuer, aud: "bowline", sub: "a", iat: NOW, exp: NOW + 60, ...more };
  return await new SignJWT(claims).setProtectedHeader({ alg, kid: "1" }).sign(key);
}

const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
const jwk: JWK = { ...await exportJWK(publicKey), kid: "1" };
const set = (...keys: JWK[]) => JSON.stringify({ keys });

describe("PlatformTokens.verify()", () => {
  test("PlatformTokens.verify() takes a token of the issuer's, with keys of a file or of a server", async () => {
    for (const where of [{}, { jwksFile: null, jwksUri: "https://platform.test/keys" }]) {
      const { claims, number, exp } = await tokensOf(set(jwk), { ...ISSUER, ...where }).verify(
        await signed(privateKey, "ES256", { jti: "7" }),
      );
      expect([claims["sub"], number, exp]).toEqual(["a", "7", NOW + 60]);
    }
  });

  test("PlatformTokens.verify() bears clocks that are 30 s apart, and no more", async () => {
    const tokens = tokensOf(set(jwk));
    const code = async (more: object) =>
      await tokens.verify(await signed(privateKey, "ES256", more)).then(() => "taken", ({ code }) => code);
    expect(await code({ iat: NOW - 60, exp: NOW - 29 })).toBe("taken");
    expect(await code({ iat: NOW - 60, exp: NOW - 30 })).toBe("token_expired");
    expect(await code({ nbf: NOW + 30 })).toBe("taken");
    expect(await code({ nbf: NOW + 31 })).toBe("token_invalid");
    expect(await code({ iat: NOW + 30, exp: NOW + 90 })).toBe("taken");
    expect(await code({ iat: NOW + 31, exp: NOW + 91 })).toBe("token_invalid");
    expect(await code({ exp: NOW + 3_600 })).toBe("taken");
    expect(await code({ exp: NOW + 3_601 })).toBe("token_invalid");
  });

  test("PlatformTokens.verify() knows no secret, private or weak key, and none without a set", async () => {
    const token = await signed(privateKey, "ES256");
    const secret = { kty: "oct", k: "c2VjcmV0", kid: "1", alg: "ES256" };
    for (const keys of [set(), set(secret), set({ ...await exportJWK(privateKey), kid: "1" })]) {
      await expect(tokensOf(keys).verify(token)).rejects.toMatchObject({ code: "token_invalid" });
    }
    const hmac = await signed(new TextEncoder().encode("secret".repeat(8)), "HS256");
    await expect(tokensOf(set(secret, jwk)).verify(hmac)).rejects.toMatchObject({ code: "token_invalid" });
    for (const keys of ["", "{}", "[]", "<html>", '{"keys":7}']) {
      await expect(tokensOf(keys).verify(token)).rejects.toMatchObject({ code: "keys_unavailable" });
    }
    await expect(tokensOf(set(jwk), { ...ISSUER, jwksFile: "gone.json" }).verify(token)).rejects
      .toMatchObject({
        code: "keys_unavailable",
        message: "The platform's token cannot be checked at the moment",
      });
  });

  test("PlatformTokens.use() forgets an issuer that is there no more", async () => {
    const tokens = tokensOf(set(jwk));
    const token = await signed(privateKey, "ES256");
    await tokens.verify(token);
    tokens.use([{ ...ISSUER, issuer: "https://other.test" }]);
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: "token_invalid" });
  });
});
