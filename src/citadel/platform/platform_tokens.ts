/** Tokens that a platform issued for a workload: verified with the issuer's public keys, never with what a token brings. */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTVerifyGetKey, JWTVerifyOptions } from "jose";
import type { PlatformIssuer } from "../../config/enrolment/enrolment_file.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/message_of.ts";
import { readJwks } from "../../model/jwks.ts";
import { CitadelError, platformTokenRefused } from "../citadel_error.ts";
import type { Claims } from "./claim_rules.ts";

/** Longest token that is read, in characters. */
const PLATFORM_TOKEN_CHARACTERS_MAX = 16 * 1024;

/** How far the clocks of a platform and of this machine may be apart. */
export const CLOCK_SKEW_S = 30;

/** Keys are fetched again after this time, and no sooner for a key that is not known than after the shorter one. */
const KEYS_MAX_AGE_MS = 10 * 60_000;
const KEYS_COOLDOWN_MS = 30_000;
const KEYS_TIMEOUT_MS = 5_000;

export interface PlatformTokensOptions {
  readonly clock: Clock;
  /** The text of a file of keys. */
  readFile(path: string): Promise<string>;
  /** A request for keys: bounded in size, follows no redirect. */
  fetchKeys(url: string, init: RequestInit): Promise<Response>;
}

export interface VerifiedToken {
  readonly issuer: PlatformIssuer;
  readonly claims: Claims;
  /** The token's own number; undefined: it has none. */
  readonly number: string | undefined;
  /** Seconds since 1970. */
  readonly exp: number;
}

interface KnownIssuer {
  readonly issuer: PlatformIssuer;
  readonly keys: JWTVerifyGetKey;
}

/** There are no keys to verify with. */
class KeysUnavailable extends Error {}

export class PlatformTokens {
  readonly #options: PlatformTokensOptions;
  #issuers: ReadonlyMap<string, KnownIssuer> = new Map();

  constructor(options: PlatformTokensOptions) {
    this.#options = options;
  }

  /** From now on these count, and no others. */
  use(issuers: readonly PlatformIssuer[]): void {
    this.#issuers = new Map(issuers.map((issuer) => {
      const known = this.#issuers.get(issuer.issuer);
      const same = known !== undefined && issuer.jwksUri !== null && known.issuer.jwksUri === issuer.jwksUri;
      return [issuer.issuer, { issuer, keys: same ? known.keys : this.#keysOf(issuer) }];
    }));
  }

  /** Throws CitadelError `token_invalid`, `token_expired`, `keys_unavailable`. */
  async verify(token: string): Promise<VerifiedToken> {
    const { issuer, keys } = this.#issuerOf(token);
    const whose = `token of ${issuer.issuer}`;
    const options: JWTVerifyOptions = {
      algorithms: [...issuer.algorithms],
      issuer: issuer.issuer,
      audience: [...issuer.audiences],
      requiredClaims: ["exp", "iat"],
      maxTokenAge: issuer.tokenLifetimeMax / 1000,
      clockTolerance: CLOCK_SKEW_S,
      currentDate: new Date(this.#options.clock.now()),
    };
    let claims: Claims;
    try {
      claims = (await jwtVerify(token, keys, options)).payload;
    } catch (cause) {
      if (cause instanceof KeysUnavailable) {
        throw new CitadelError(
          "keys_unavailable",
          "The platform's token cannot be checked at the moment",
          `There are no keys to check a ${whose} with: ${cause.message}`,
          { cause },
        );
      }
      if (cause instanceof errors.JWTExpired) {
        throw platformTokenRefused("token_expired", `The ${whose} has expired`);
      }
      const reason = cause instanceof errors.JOSEError ? `${cause.code}: ${cause.message}` : messageOf(cause);
      throw platformTokenRefused("token_invalid", `The ${whose} was refused: ${reason}`);
    }
    const { exp, iat, jti } = claims as { exp: number; iat: number; jti?: unknown };
    if ((exp - iat) * 1000 > issuer.tokenLifetimeMax) {
      throw platformTokenRefused(
        "token_invalid",
        `The ${whose} lives for ${exp - iat} s, longer than tokenLifetimeMax`,
      );
    }
    return { issuer, claims, number: typeof jti === "string" ? jti : undefined, exp };
  }

  /** What a token says of its issuer decides whose keys it is checked with, and the check whether it was true. */
  #issuerOf(token: string): KnownIssuer {
    if (token.length > PLATFORM_TOKEN_CHARACTERS_MAX) {
      throw platformTokenRefused(
        "token_invalid",
        `The platform's token is longer than ${PLATFORM_TOKEN_CHARACTERS_MAX} characters`,
      );
    }
    let iss: unknown;
    try {
      ({ iss } = decodeJwt(token));
    } catch {
      throw platformTokenRefused("token_invalid", "The platform's token is no JWT");
    }
    const known = typeof iss === "string" ? this.#issuers.get(iss) : undefined;
    if (known === undefined) {
      throw platformTokenRefused(
        "token_invalid",
        `The enrolment file has no issuer ${JSON.stringify(iss ?? null)}`,
      );
    }
    return known;
  }

  #keysOf({ jwksFile, jwksUri }: PlatformIssuer): JWTVerifyGetKey {
    const { readFile, fetchKeys } = this.#options;
    const source: JWTVerifyGetKey = jwksFile === null
      ? createRemoteJWKSet(new URL(jwksUri as string), {
        timeoutDuration: KEYS_TIMEOUT_MS,
        cooldownDuration: KEYS_COOLDOWN_MS,
        cacheMaxAge: KEYS_MAX_AGE_MS,
        [customFetch]: async (url, init) => publicKeysOf(await fetchKeys(url, init)),
      })
      : async (header, input) => createLocalJWKSet(publicKeys(await readFile(jwksFile)))(header, input);
    return async (header, input) => {
      try {
        return await source(header, input);
      } catch (cause) {
        // The keys are there, and none of them is the token's.
        if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) {
          throw cause;
        }
        if (cause instanceof errors.JOSENotSupported) throw cause;
        throw new KeysUnavailable(messageOf(cause), { cause });
      }
    };
  }
}

/** Of the keys in a set those that verify and are strong enough. Throws JwksError. */
function publicKeys(text: string): JSONWebKeySet {
  return { keys: readJwks(text).keys.map((key) => ({ ...key })) };
}

async function publicKeysOf(response: Response): Promise<Response> {
  return response.status === 200 ? Response.json(publicKeys(await response.text())) : response;
}
