/**
 * How a sidecar comes by its identity when it starts: from its disk; else, when the certificate there has expired, with
 * that one's key; else with a join token, or one that the platform issued. A control plane that cannot be reached is tried
 * again for as long as it takes.
 */
import { certificateInfo } from "../identity/certificate_info.ts";
import { generateKeyPair, type KeyPair } from "../identity/key_pair.ts";
import { readTrustBundle, TRUST_BUNDLE_CHARACTERS_MAX } from "../identity/trust_bundle.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { FileError, readTextFile } from "../runtime/files.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { Log } from "../telemetry/log.ts";
import type { ControlClient } from "./control_client.ts";
import { ControlPlaneUnreachable } from "./control_plane_unreachable.ts";
import { ClocksDiffer, EnrolmentRefused, join, joinByPlatform, rejoin } from "./enrolment.ts";
import { loadIdentity, makeSureOfRoom, saveIdentity, type SidecarIdentity } from "./identity_state.ts";
import {
  readTokenFile,
  type Token,
  TOKEN_FILE_BYTES_MAX,
  unreadableToken,
  warnOfOpenTokenFile,
} from "./token_file.ts";

const BACKOFF_BASE_MS = 200;
const BACKOFF_MAX_MS = 10_000;

export interface JoiningOptions {
  readonly dataDirectory: string;
  /** Holds the join token; undefined: there is none. */
  readonly tokenFile: string | undefined;
  /** Instead of a join token; undefined: no platform vouches for the workload. */
  readonly platform: PlatformTrust | undefined;
  /** `HOST:PORT`, instead of the address in the join token; a platform's token has none. */
  readonly controlPlane: string | undefined;
  readonly files: PrivateFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  readonly log: Log;
  /** A client that trusts these roots and shows no certificate. */
  client(controlPlane: string, trustDomain: string, roots: string): ControlClient;
  isStopping(): boolean;
}

/** What somebody must be told who has no join token to tell it. */
export interface PlatformTrust {
  /** Holds the token that the platform issued, and always the latest. */
  readonly tokenFile: string;
  /** PEM file of the roots that the control plane's certificate must lead to. */
  readonly rootCert: string;
  readonly trustDomain: string;
}

/** There is no identity and no way to get one. */
export class JoinError extends Error {
  override readonly name = "JoinError";
}

export class Joining {
  readonly #options: JoiningOptions;
  /** What is on the disk; undefined before the first join. */
  readonly #stored: SidecarIdentity | undefined;
  readonly #token: Token | undefined;
  /** Why the token's file could not be read, which matters only to who needs one. */
  readonly #unread: FileError | undefined;

  private constructor(
    options: JoiningOptions,
    stored: SidecarIdentity | undefined,
    { token, unread }: GivenToken,
  ) {
    this.#options = options;
    this.#stored = stored;
    this.#token = token;
    this.#unread = unread;
  }

  /** Reads what there is. Throws JoinError, IdentityError, IdentityStateError, PrivateFileError. */
  static async open(options: JoiningOptions): Promise<Joining> {
    const { dataDirectory, files, controlPlane } = options;
    const loaded = await loadIdentity(dataDirectory, files);
    const stored = loaded && controlPlane !== undefined ? { ...loaded, controlPlane } : loaded;
    return new Joining(options, stored, await tokenOf(options, stored));
  }

  /** Empty when there is neither an identity nor a token. */
  get trustDomain(): string {
    const ofToken = this.#token?.claims.sub.split("/")[2] ?? this.#options.platform?.trustDomain;
    return this.#stored?.trustDomain ?? ofToken ?? "";
  }

  /** The identity on disk, while its certificate is good. */
  usable(): SidecarIdentity | undefined {
    if (this.#stored === undefined) return undefined;
    const { notAfterMs } = certificateInfo(this.#stored.chain);
    if (notAfterMs > this.#options.clock.now()) return this.#stored;
    const notAfter = new Date(notAfterMs).toISOString();
    this.#options.log.warn("The certificate on disk has expired", { notAfter });
    return undefined;
  }

  /** A new identity, on disk. Throws JoinError, EnrolmentRefused, PrivateFileError. */
  async join(): Promise<SidecarIdentity> {
    const { log, dataDirectory, files, platform } = this.#options;
    const [stored, token, unread] = [this.#stored, this.#token, this.#unread];
    if (stored !== undefined) {
      try {
        return await this.#persistently(() => this.rejoin(stored));
      } catch (error) {
        if (!(error instanceof EnrolmentRefused)) throw error;
        if (token === undefined && platform === undefined) {
          throw new JoinError(
            `The certificate in ${dataDirectory} has expired, and the control plane lets nobody in with it: ` +
              `${error.message}; ${
                unread === undefined ? newToken(stored.workload) : unreadableToken(unread)
              }`,
            { cause: error },
          );
        }
        log.warn("Not let in with the certificate that has expired; trying the token", {
          reason: error.message,
        });
      }
    }
    // A token may be good once, and is lost with an identity that cannot be kept.
    if (platform !== undefined || token !== undefined) await makeSureOfRoom(dataDirectory, files);
    if (platform !== undefined) {
      const keys = await generateKeyPair();
      // Refused is no last word: the platform replaces the token, and rules and keys change where it is judged.
      const passes = (error: unknown) => mayPass(error) || error instanceof EnrolmentRefused;
      return await this.#persistently(() => this.#byPlatform(platform, keys), passes);
    }
    if (token === undefined) {
      throw new JoinError(
        `There is no valid certificate in ${dataDirectory} and no join token; ${newToken("NS/NAME")}`,
      );
    }
    warnOfOpenTokenFile(this.#options);
    // Asking again with a token that a certificate of no use was issued for is in vain.
    return await this.#persistently(() => this.#withToken(token), isUnreachable);
  }

  /** The same identity, by the key of a certificate that has expired. Throws EnrolmentRefused, ControlPlaneUnreachable. */
  async rejoin(identity: SidecarIdentity): Promise<SidecarIdentity> {
    const { controlPlane, trustDomain, roots } = identity;
    const { clock } = this.#options;
    const client = this.#options.client(controlPlane, trustDomain, roots);
    try {
      return await rejoin(identity, client, clock);
    } finally {
      client.close();
    }
  }

  async #withToken({ text, claims }: Token): Promise<SidecarIdentity> {
    const { clock, wheel, client } = this.#options;
    const controlPlane = this.#options.controlPlane ?? claims.controlPlane;
    return await join({
      token: text,
      claims,
      controlPlane,
      clock,
      wheel,
      client: (roots, trustDomain) => client(controlPlane, trustDomain, roots),
    });
  }

  async #byPlatform(
    { tokenFile, rootCert, trustDomain }: PlatformTrust,
    keys: KeyPair,
  ): Promise<SidecarIdentity> {
    const { controlPlane = "", clock } = this.#options;
    // Read each time: platforms replace tokens before they expire.
    const platformToken = (await readTextFile(tokenFile, TOKEN_FILE_BYTES_MAX)).trim();
    const roots = await readTextFile(rootCert, TRUST_BUNDLE_CHARACTERS_MAX);
    await readTrustBundle(roots);
    const client = this.#options.client(controlPlane, trustDomain, roots);
    try {
      const identity = await joinByPlatform({
        ...{ platformToken, keys, controlPlane, trustDomain, clock, client },
      });
      const stored = this.#stored;
      if (stored === undefined || isFor(identity, stored)) return identity;
      throw new JoinError(
        `The token in ${tokenFile} is for ${identity.workload}, but ${this.#options.dataDirectory} belongs to ` +
          `${stored.workload}; give each workload a data directory of its own with --data`,
      );
    } finally {
      client.close();
    }
  }

  /** Tries again after an error that may pass. */
  async #persistently(
    attempt: () => Promise<SidecarIdentity>,
    passes: (error: unknown) => boolean = mayPass,
  ): Promise<SidecarIdentity> {
    const { dataDirectory, files, clock, random, log, isStopping } = this.#options;
    const backoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_MAX_MS, random });
    let told = "";
    for (;;) {
      try {
        const identity = await attempt();
        await saveIdentity(dataDirectory, files, identity);
        const { workload, spiffeId, controlPlane } = identity;
        log.info("Joined the mesh", { workload, spiffeId, controlPlane });
        return identity;
      } catch (error) {
        if (!passes(error) || isStopping()) throw error;
        const { message: reason, retryAfterMs = 0 } = error as Error & { readonly retryAfterMs?: number };
        if (reason !== told) log.warn("Cannot join yet; trying again", { reason });
        told = reason;
        const waitMs = Math.max(backoff.next(), retryAfterMs);
        await new Promise<void>((resolve) => clock.after(waitMs, resolve));
      }
    }
  }
}

interface GivenToken {
  readonly token?: Token;
  readonly unread?: FileError;
}

/** Nothing when none was given; one that cannot be read is of no account to a sidecar that has joined. */
async function tokenOf(
  { tokenFile, dataDirectory, log }: JoiningOptions,
  stored: SidecarIdentity | undefined,
): Promise<GivenToken> {
  if (tokenFile === undefined) return {};
  let token: Token;
  try {
    token = await readTokenFile(tokenFile);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (stored === undefined) throw new JoinError(unreadableToken(error), { cause: error });
    log.info("Cannot read the token file, and need not: the workload has joined", { tokenFile });
    return { unread: error };
  }
  const { claims } = token;
  if (stored !== undefined && !isFor(claims, stored)) {
    throw new JoinError(
      `The token in ${tokenFile} is for ${claims.workload}, but ${dataDirectory} belongs to ${stored.workload}; ` +
        `give each workload a data directory of its own with --data`,
    );
  }
  return { token };
}

/** Another token of the same group is as good as the first: who has joined keeps the name that it has. */
function isFor(
  { workload, group }: Pick<SidecarIdentity, "workload" | "group">,
  stored: SidecarIdentity,
): boolean {
  return workload === stored.workload || (group !== undefined && group === stored.group);
}

function mayPass(error: unknown): boolean {
  return isUnreachable(error) || error instanceof ClocksDiffer;
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ControlPlaneUnreachable;
}

function newToken(workload: string): string {
  return `make one with \`bowline token create --workload ${workload}\` where the control plane runs, ` +
    "and pass it with --token-file";
}
