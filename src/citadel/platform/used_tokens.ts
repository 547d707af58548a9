/**
 * Numbers of platform tokens that a certificate was issued for, each with the key that got it: whoever asks again with
 * that key, since the answer was lost, is answered again, and whoever copied the token is not. One small file each.
 */
import { hex } from "../../identity/der_reader.ts";
import type { Clock } from "../../lib/clock.ts";
import type { PrivateFiles } from "../../runtime/private_files.ts";
import { CLOCK_SKEW_S } from "./platform_tokens.ts";

const KEY_HASH_LENGTH = 64;

/** What has expired is cleared away each time as many were used. */
const CLEARED_EVERY = 100;

export class UsedTokens {
  readonly #directory: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;
  #uses = 0;

  private constructor(directory: string, files: PrivateFiles, clock: Clock) {
    this.#directory = directory;
    this.#files = files;
    this.#clock = clock;
  }

  /** Makes the directory when it is not there. Throws PrivateFileError. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<UsedTokens> {
    await files.makeDirectory(directory);
    return new UsedTokens(directory, files, clock);
  }

  /** False when the token was used with another key. On the disk when it resolves. Throws PrivateFileError. */
  async use(issuer: string, number: string, exp: number, keyHash: string): Promise<boolean> {
    if (this.#uses++ % CLEARED_EVERY === 0) await this.#forgetExpired();
    const bytes = new TextEncoder().encode(JSON.stringify([issuer, number]));
    const digest = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    const path = `${this.#directory}/${Math.ceil(exp)}-${digest}`;
    if (await this.#files.create(path, new TextEncoder().encode(keyHash))) return true;
    const known = await this.#files.read(path, KEY_HASH_LENGTH);
    return known !== undefined && new TextDecoder().decode(known) === keyHash;
  }

  async #forgetExpired(): Promise<void> {
    const names = await this.#files.list(this.#directory);
    const endS = this.#clock.now() / 1000 - CLOCK_SKEW_S;
    await this.#files.remove(this.#directory, names.filter((name) => Number.parseInt(name) < endS));
  }
}
