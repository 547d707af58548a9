/**
 * The books of join tokens: which are unused, used, revoked. They know a token by the SHA-256 of its number alone, one
 * small file each: redeeming is a rename, which the file system lets exactly one of any number of processes do, and which
 * a crash cannot undo or halve. So is revoking, and of the two only one can happen to a token.
 */
import { hex } from "../identity/der_reader.ts";
import type { Clock } from "../lib/clock.ts";
import type { JoinTokenStatus } from "../model/admin.ts";
import type { JoinTokenClaims } from "../model/enrolment.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";

const RECORD_BYTES_MAX = 16 * 1024;

/** Characters of the hash of a token's number by which people name it. */
const ID_LENGTH = 12;

/** What is written down of a token. */
export type TokenRecord = Pick<JoinTokenStatus, "workload" | "group" | "spiffeId"> & {
  /** Absent: it may be used from anywhere. */
  readonly source?: readonly string[];
};

/** By which a token is found: its number, and its expiry in seconds since 1970. */
export type TokenNumber = Pick<JoinTokenClaims, "exp" | "jti">;

export class TokenBooks {
  readonly #directory: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;

  private constructor(directory: string, files: PrivateFiles, clock: Clock) {
    this.#directory = directory;
    this.#files = files;
    this.#clock = clock;
  }

  /** The books in a directory, made when they are not there. Throws PrivateFileError. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<TokenBooks> {
    const books = new TokenBooks(directory, files, clock);
    for (const book of books.#all) await files.makeDirectory(book);
    await books.forgetExpired();
    return books;
  }

  get #pending(): string {
    return `${this.#directory}/pending`;
  }

  get #used(): string {
    return `${this.#directory}/used`;
  }

  get #revoked(): string {
    return `${this.#directory}/revoked`;
  }

  get #all(): readonly string[] {
    return [this.#used, this.#revoked, this.#pending];
  }

  /** An unused token, on the disk when this returns. Returns its id. Throws PrivateFileError. */
  async add(number: TokenNumber, { workload, group, spiffeId, source }: TokenRecord): Promise<string> {
    const name = await bookName(number);
    const text = `${JSON.stringify({ workload, group, spiffeId, source })}\n`;
    await this.#files.create(`${this.#pending}/${name}`, new TextEncoder().encode(text));
    return idOf(name);
  }

  /** Those that are neither used nor revoked nor expired, the first to expire first. Throws PrivateFileError. */
  async list(): Promise<JoinTokenStatus[]> {
    await this.forgetExpired();
    const tokens: JoinTokenStatus[] = [];
    for (const name of await this.#files.list(this.#pending)) {
      const bytes = await this.#files.read(`${this.#pending}/${name}`, RECORD_BYTES_MAX);
      // Used meanwhile.
      if (bytes === undefined) continue;
      const record = JSON.parse(new TextDecoder().decode(bytes)) as Partial<TokenRecord>;
      const { workload = "", group, spiffeId = "", source = [] } = record;
      const expiresAt = new Date(Number.parseInt(name) * 1000).toISOString();
      tokens.push({ id: idOf(name), workload, group, spiffeId, source, expiresAt });
    }
    return tokens;
  }

  /** An unused token is good for nothing from now on, also after a crash. False: none that is unused has this id. */
  async revoke(id: string): Promise<boolean> {
    const names = (await this.#files.list(this.#pending)).filter((name) => idOf(name) === id);
    for (const name of names) {
      if (await this.#files.move(`${this.#pending}/${name}`, `${this.#revoked}/${name}`)) return true;
    }
    return false;
  }

  /**
   * Uses a token up; that is on the disk when this returns. Of any number of calls for one token exactly one is answered
   * `redeemed`. Throws PrivateFileError.
   */
  async redeem(number: TokenNumber): Promise<"redeemed" | "used" | "revoked" | "unknown"> {
    const name = await bookName(number);
    if (await this.#files.move(`${this.#pending}/${name}`, `${this.#used}/${name}`)) return "redeemed";
    if ((await this.#files.list(this.#used)).includes(name)) return "used";
    return (await this.#files.list(this.#revoked)).includes(name) ? "revoked" : "unknown";
  }

  /** Nothing came of a token that was redeemed: it is unused again. Throws PrivateFileError. */
  async giveBack(number: TokenNumber): Promise<void> {
    const name = await bookName(number);
    await this.#files.move(`${this.#used}/${name}`, `${this.#pending}/${name}`);
  }

  /** Clears the books of what has expired anyway, and returns how many unused tokens are left. */
  async forgetExpired(): Promise<number> {
    const nowSeconds = this.#clock.now() / 1000;
    let left = 0;
    for (const book of this.#all) {
      const names = await this.#files.list(book);
      const expired = names.filter((name) => Number.parseInt(name) <= nowSeconds);
      await this.#files.remove(book, expired);
      left = names.length - expired.length;
    }
    return left;
  }
}

/** What a token is called in lists and logs; no secret. */
export async function tokenId(number: TokenNumber): Promise<string> {
  return idOf(await bookName(number));
}

/** `EXPIRY-HASH`: the expiry, seconds since 1970, in the open, for clearing up; the number only as its hash. */
async function bookName({ exp, jti }: TokenNumber): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(jti));
  return `${exp}-${hex(new Uint8Array(digest))}`;
}

function idOf(name: string): string {
  const start = name.indexOf("-") + 1;
  return name.slice(start, start + ID_LENGTH);
}
