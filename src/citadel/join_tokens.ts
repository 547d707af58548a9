/**
 * One-time join tokens: JWTs (RFC 7519) that only this control plane makes and checks. That is why they are signed with
 * HS256 and a secret of 256 random bits: nobody else needs to verify them, and without a public key none can be mistaken
 * for the secret. The books know a token by the SHA-256 of its number alone, one small file each: redeeming is a
 * rename, which the file system lets exactly one of any number of processes do, and which a crash cannot undo or halve.
 * So is revoking, and of the two only one can happen to a token.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { hex } from "../identity/der_reader.ts";
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

/** Tokens that are neither used nor expired. */
export const TOKENS_PENDING_MAX = 10_000;

/** Whom a token is for: it is worth nothing where another audience is asked for. */
export const TOKEN_AUDIENCE = "bowline-enrolment";

const ALGORITHM = "HS256";
const SECRET_FILE = "token.secret";
const SECRET_BYTES = 32;
const NUMBER_BYTES = 24;
const RECORD_BYTES_MAX = 16 * 1024;

/** Characters of the hash of a token's number by which people name it. */
const ID_LENGTH = 12;

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
  readonly #directory: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;
  readonly #secret: Uint8Array;

  private constructor(directory: string, files: PrivateFiles, clock: Clock, secret: Uint8Array) {
    this.#directory = directory;
    this.#files = files;
    this.#clock = clock;
    this.#secret = secret;
  }

  /** The books of a directory that exists; made when they are not there. Throws PrivateFileError, CitadelError `ca_unusable`. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<JoinTokens> {
    const path = `${directory}/${SECRET_FILE}`;
    let secret = await files.read(path, SECRET_BYTES + 1);
    if (secret === undefined) {
      await files.create(path, crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
      secret = await files.read(path, SECRET_BYTES + 1);
    }
    if (secret?.length !== SECRET_BYTES) {
      throw new CitadelError(
        "ca_unusable",
        `${path} must hold exactly ${SECRET_BYTES} bytes; remove it, and every join token that is still out is void`,
      );
    }
    const tokens = new JoinTokens(directory, files, clock, secret);
    for (const book of tokens.#books) await files.makeDirectory(book);
    await tokens.#forgetExpired();
    return tokens;
  }

  get #pending(): string {
    return `${this.#directory}/tokens/pending`;
  }

  get #used(): string {
    return `${this.#directory}/tokens/used`;
  }

  get #revoked(): string {
    return `${this.#directory}/tokens/revoked`;
  }

  get #books(): readonly string[] {
    return [this.#used, this.#revoked, this.#pending];
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
    if (await this.#forgetExpired() >= TOKENS_PENDING_MAX) {
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
    const { workload, group } = options;
    const record = new TextEncoder().encode(`${JSON.stringify({ workload, group, spiffeId, source })}\n`);
    const name = await bookName(claims);
    await this.#files.create(`${this.#pending}/${name}`, record);
    return { token, id: idOf(name), expiresAtMs: exp * 1000 };
  }

  /** Those that are neither used nor revoked nor expired, the first to expire first. Throws PrivateFileError. */
  async list(): Promise<JoinTokenStatus[]> {
    await this.#forgetExpired();
    const tokens: JoinTokenStatus[] = [];
    for (const name of await this.#files.list(this.#pending)) {
      const bytes = await this.#files.read(`${this.#pending}/${name}`, RECORD_BYTES_MAX);
      // Used meanwhile.
      if (bytes === undefined) continue;
      const record = JSON.parse(new TextDecoder().decode(bytes)) as Partial<JoinTokenStatus>;
      const { workload = "", group, spiffeId = "", source = [] } = record;
      const expiresAt = new Date(Number.parseInt(name) * 1000).toISOString();
      tokens.push({ id: idOf(name), workload, group, spiffeId, source, expiresAt });
    }
    return tokens;
  }

  /** An unused token is good for nothing from now on, also after a crash. Throws CitadelError `request_invalid`. */
  async revoke(id: string): Promise<void> {
    const names = (await this.#files.list(this.#pending)).filter((name) => idOf(name) === id);
    for (const name of names) {
      if (await this.#files.move(`${this.#pending}/${name}`, `${this.#revoked}/${name}`)) return;
    }
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
    const name = await bookName(claims);
    if (await this.#files.move(`${this.#pending}/${name}`, `${this.#used}/${name}`)) return idOf(name);
    const token = `The join token ${await describe(claims)}`;
    if ((await this.#files.list(this.#used)).includes(name)) {
      throw tokenRefused("token_used", `${token} was used already`);
    }
    const revoked = (await this.#files.list(this.#revoked)).includes(name);
    throw tokenRefused("token_unknown", `${token} ${revoked ? "was revoked" : "is not on the books"}`);
  }

  /** Nothing came of a token that was redeemed: it is unused again. Throws PrivateFileError. */
  async giveBack(claims: JoinTokenClaims): Promise<void> {
    const name = await bookName(claims);
    await this.#files.move(`${this.#used}/${name}`, `${this.#pending}/${name}`);
  }

  /** Clears the books of what has expired anyway, and returns how many unused tokens are left. */
  async #forgetExpired(): Promise<number> {
    const nowSeconds = this.#clock.now() / 1000;
    let left = 0;
    for (const book of this.#books) {
      const names = await this.#files.list(book);
      const expired = names.filter((name) => Number.parseInt(name) <= nowSeconds);
      await this.#files.remove(book, expired);
      left = names.length - expired.length;
    }
    return left;
  }
}

/** `EXPIRY-HASH`: the expiry, seconds since 1970, in the open, for clearing up; the number only as its hash. */
async function bookName({ exp, jti }: Pick<JoinTokenClaims, "exp" | "jti">): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(jti));
  return `${exp}-${hex(new Uint8Array(digest))}`;
}

function idOf(name: string): string {
  const start = name.indexOf("-") + 1;
  return name.slice(start, start + ID_LENGTH);
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
  const id = jti === undefined || exp === undefined ? "" : `${idOf(await bookName({ exp, jti }))} `;
  const expiry = exp === undefined ? "" : ` (expiry ${new Date(exp * 1000).toISOString()})`;
  return `${id}for ${String(workload)}${expiry}`;
}

function invalid(message: string): CitadelError {
  return new CitadelError("request_invalid", message);
}
