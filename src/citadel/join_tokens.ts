/**
 * One-time join tokens: JWTs (RFC 7519) that only this control plane makes and checks. That is why they are signed with
 * HS256 and a secret of 256 random bits: nobody else needs to verify them, and without a public key none can be mistaken
 * for the secret. That each is good for one time is what the books are for.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import {
  findWrongClaim,
  isHostPort,
  isTokenSource,
  JOIN_TOKEN_CHARACTERS_MAX,
  TOKEN_SOURCES_MAX,
} from "../identity/join_token_claims.ts";
import { messageOf } from "../lib/message_of.ts";
import { type JoinTokenStatus, TOKEN_LIFE_MAX_MS, TOKEN_LIFE_MIN_MS } from "../model/admin.ts";
import type { JoinTokenClaims } from "../model/enrolment.ts";
import type { Clock } from "../lib/clock.ts";
import { formatDuration } from "../lib/duration.ts";
import { Network, parseIp } from "../lib/ip.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import { CitadelError, tokenRefused } from "./citadel_error.ts";
import { TokenBooks, tokenId } from "./token_books.ts";

/** Tokens that are neither used nor expired. */
export const TOKENS_PENDING_MAX = 10_000;

/** Whom a token is for: it is worth nothing where another audience is asked for. */
export const TOKEN_AUDIENCE = "bowline-enrolment";

const ALGORITHM = "HS256";
const SECRET_FILE = "token.secret";
const SECRET_BYTES = 32;
const NUMBER_BYTES = 24;

export interface JoinTokenOptions {
  /** `NAMESPACE/NAME`. */
  readonly workload: string;
  /** `NAMESPACE/NAME` of the WorkloadGroup that the workload joins; absent: none. */
  readonly group?: string;
  readonly spiffeId: string;
  /** `HOST:PORT`. */
  readonly controlPlane: string;
  readonly caPin: string;
  /** Networks from which it may be used, `10.0.0.0/8`; absent: from anywhere. */
  readonly source?: readonly string[];
  readonly ttlMs: number;
}

export interface JoinToken {
  /** The JWT: a secret. */
  readonly token: string;
  /** What it is called in lists and logs; no secret. */
  readonly id: string;
  readonly expiresAtMs: number;
}

export class JoinTokens {
  readonly #books: TokenBooks;
  readonly #clock: Clock;
  readonly #secret: Uint8Array;
  /** Its secret was made when it was opened. */
  readonly isNew: boolean;

  private constructor(books: TokenBooks, clock: Clock, secret: Uint8Array, isNew: boolean) {
    this.#books = books;
    this.#clock = clock;
    this.#secret = secret;
    this.isNew = isNew;
  }

  /** The books of a directory that exists; made when they are not there. Throws PrivateFileError, CitadelError `ca_unusable`. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<JoinTokens> {
    const path = `${directory}/${SECRET_FILE}`;
    let secret = await files.read(path, SECRET_BYTES + 1);
    const isNew = secret === undefined;
    if (isNew) {
      await files.create(path, crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
      secret = await files.read(path, SECRET_BYTES + 1);
    }
    if (secret?.length !== SECRET_BYTES) {
      throw new CitadelError(
        "ca_unusable",
        `${path} must hold exactly ${SECRET_BYTES} bytes; remove it, and every join token that is still out is void`,
      );
    }
    return new JoinTokens(await TokenBooks.open(`${directory}/tokens`, files, clock), clock, secret, isNew);
  }

  /** A new token, on the books before it is returned. Throws CitadelError `request_invalid`, PrivateFileError. */
  async create({ ttlMs, spiffeId, ...options }: JoinTokenOptions): Promise<JoinToken> {
    if (!(ttlMs >= TOKEN_LIFE_MIN_MS && ttlMs <= TOKEN_LIFE_MAX_MS)) {
      const [least, most, asked] = [TOKEN_LIFE_MIN_MS, TOKEN_LIFE_MAX_MS, ttlMs].map(formatDuration);
      throw invalid(`A join token lives ${least} to ${most}, not ${asked}`);
    }
    if (!isHostPort(options.controlPlane)) {
      throw invalid(
        `The control plane's address must be HOST:PORT, not ${JSON.stringify(options.controlPlane)}`,
      );
    }
    if (await this.#books.forgetExpired() >= TOKENS_PENDING_MAX) {
      throw invalid(`There are ${TOKENS_PENDING_MAX} unused join tokens; wait until some expire`);
    }
    const { source } = options;
    if (source !== undefined && !isTokenSource(source)) {
      throw invalid(
        `The source of a join token is 1 to ${TOKEN_SOURCES_MAX} networks such as 10.0.0.0/8, not ${
          JSON.stringify(source)
        }`,
      );
    }
    const iat = Math.floor(this.#clock.now() / 1000);
    const exp = iat + Math.ceil(ttlMs / 1000);
    const jti = randomNumber();
    const claims: JoinTokenClaims = { jti, sub: spiffeId, ...options, iat, exp };
    const wrong = findWrongClaim({ ...claims });
    if (wrong !== undefined) throw invalid(`A join token cannot be made: ${wrong} is not of the right form`);
    const token = await new SignJWT({ ...claims, aud: TOKEN_AUDIENCE })
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" }).sign(this.#secret);
    if (token.length > JOIN_TOKEN_CHARACTERS_MAX) {
      throw invalid(
        `A join token cannot be longer than ${JOIN_TOKEN_CHARACTERS_MAX} characters; use shorter names`,
      );
    }
    const id = await this.#books.add(claims, { ...options, spiffeId });
    return { token, id, expiresAtMs: exp * 1000 };
  }

  /** Those that are neither used nor revoked nor expired, the first to expire first. Throws PrivateFileError. */
  list(): Promise<JoinTokenStatus[]> {
    return this.#books.list();
  }

  /** An unused token is good for nothing from now on, also after a crash. Throws CitadelError `request_invalid`. */
  async revoke(id: string): Promise<void> {
    if (await this.#books.revoke(id)) return;
    throw invalid(
      `No join token that is still good has the id ${
        JSON.stringify(id)
      }; bowline token list shows those that are out`,
    );
  }

  /**
   * Signature, audience, expiry, form, and whether it may be used from this IP address; the token stays unused. Throws
   * CitadelError `token_invalid`, `token_expired`.
   */
  async verify(token: string, from?: string): Promise<JoinTokenClaims> {
    if (token.length > JOIN_TOKEN_CHARACTERS_MAX) {
      throw tokenRefused(
        "token_invalid",
        `The join token is longer than ${JOIN_TOKEN_CHARACTERS_MAX} characters`,
      );
    }
    let claims: Record<string, unknown>;
    try {
      const verified = await jwtVerify(token, this.#secret, {
        algorithms: [ALGORITHM],
        audience: TOKEN_AUDIENCE,
        currentDate: new Date(this.#clock.now()),
      });
      claims = verified.payload;
    } catch (cause) {
      // jose looks at the claims after the signature, so this one is a true token's.
      if (cause instanceof errors.JWTExpired) {
        throw tokenRefused("token_expired", `The join token ${await describe(cause.payload)} has expired`);
      }
      const reason = cause instanceof errors.JOSEError ? cause.code : messageOf(cause);
      throw tokenRefused("token_invalid", `The join token was refused: ${reason}`);
    }
    const wrong = findWrongClaim(claims);
    if (wrong !== undefined) {
      throw tokenRefused("token_invalid", `The join token's ${wrong} is missing or wrong`);
    }
    const verified = claims as unknown as JoinTokenClaims;
    if (verified.source !== undefined && !comesFrom(verified.source, from)) {
      const networks = verified.source.join(", ");
      throw tokenRefused(
        "token_invalid",
        `The join token ${await describe(verified)} is for ${networks}, not for ${
          from ?? "an unknown address"
        }`,
      );
    }
    return verified;
  }

  /**
   * Uses a verified token up; that is on the disk when this returns. Of any number of calls for one token exactly one
   * succeeds; returns its id. Throws CitadelError `token_used`, `token_unknown`; PrivateFileError.
   */
  async redeem(claims: JoinTokenClaims): Promise<string> {
    const outcome = await this.#books.redeem(claims);
    if (outcome === "redeemed") return await tokenId(claims);
    const token = `The join token ${await describe(claims)}`;
    if (outcome === "used") throw tokenRefused("token_used", `${token} was used already`);
    const why = outcome === "revoked" ? "was revoked" : "is not on the books";
    throw tokenRefused("token_unknown", `${token} ${why}`);
  }

  /** Nothing came of a token that was redeemed: it is unused again. Throws PrivateFileError. */
  giveBack(claims: JoinTokenClaims): Promise<void> {
    return this.#books.giveBack(claims);
  }
}

function randomNumber(): string {
  return crypto.getRandomValues(new Uint8Array(NUMBER_BYTES)).toBase64({ alphabet: "base64url" });
}

function comesFrom(networks: readonly string[], from: string | undefined): boolean {
  const address = from === undefined ? null : parseIp(from);
  return address !== null && networks.some((network) => Network.parse(network)?.contains(address) === true);
}

/** For the log: by its id, since the number itself is a part of the secret. */
async function describe(
  { workload, exp, jti }: { readonly workload?: unknown; readonly exp?: number; readonly jti?: string },
): Promise<string> {
  const id = jti === undefined || exp === undefined ? "" : `${await tokenId({ exp, jti })} `;
  const expiry = exp === undefined ? "" : ` (expiry ${new Date(exp * 1000).toISOString()})`;
  return `${id}for ${String(workload)}${expiry}`;
}

function invalid(message: string): CitadelError {
  return new CitadelError("request_invalid", message);
}
