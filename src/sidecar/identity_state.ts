/** What a joined sidecar keeps on disk, in one file, so that it is whole or not there: its key, its certificate, where it belongs. */
import { certificateInfo } from "../identity/certificate_info.ts";
import { messageOf } from "../lib/message_of.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";

/** Name in the data directory; mode 0600, since the key is in it. */
const IDENTITY_FILE = "identity.json";
const IDENTITY_BYTES_MAX = 1024 * 1024;

/** Of an identity with a chain of several certificates. */
const IDENTITY_BYTES_USUAL = 16 * 1024;
const ROOM_FILE = "identity.room";

export interface SidecarIdentity extends TlsMaterial {
  /** `NAMESPACE/NAME`. */
  readonly workload: string;
  /** `NAMESPACE/NAME` of the WorkloadGroup that it joined; absent: none. */
  readonly group?: string | undefined;
  readonly spiffeId: string;
  readonly trustDomain: string;
  /** `HOST:PORT`. */
  readonly controlPlane: string;
}

/** The identity file is there, but cannot be used. */
export class IdentityStateError extends Error {
  override readonly name = "IdentityStateError";
  readonly code = "identity_unusable";
}

/** Undefined before the first join. Throws IdentityStateError, PrivateFileError. */
export async function loadIdentity(
  directory: string,
  files: PrivateFiles,
): Promise<SidecarIdentity | undefined> {
  const path = `${directory}/${IDENTITY_FILE}`;
  const bytes = await files.read(path, IDENTITY_BYTES_MAX);
  if (bytes === undefined) return undefined;
  try {
    const identity = JSON.parse(new TextDecoder().decode(bytes)) as SidecarIdentity;
    if (certificateInfo(identity.chain).spiffeId !== identity.spiffeId) {
      throw new Error("its parts do not fit");
    }
    return identity;
  } catch (cause) {
    const reason = messageOf(cause);
    throw new IdentityStateError(
      `Cannot use ${path}: ${reason}; remove it and join again with a new token`,
      { cause },
    );
  }
}

/** Finds out whether the disk takes an identity, while nothing has been used up for one. Throws PrivateFileError. */
export async function makeSureOfRoom(directory: string, files: PrivateFiles): Promise<void> {
  await files.replace(`${directory}/${ROOM_FILE}`, new Uint8Array(IDENTITY_BYTES_USUAL));
  await files.remove(directory, [ROOM_FILE]);
}

/** Identities as they come, one write after the other: the last to come is the one that stays. */
export class IdentitySaver {
  readonly #directory: string;
  readonly #files: PrivateFiles;
  #saving: Promise<void> = Promise.resolve();

  constructor(directory: string, files: PrivateFiles) {
    this.#directory = directory;
    this.#files = files;
  }

  /** On the disk when it resolves. Throws PrivateFileError. */
  save(identity: SidecarIdentity): Promise<void> {
    const saved = this.#saving.then(() => saveIdentity(this.#directory, this.#files, identity));
    this.#saving = saved.catch(() => {});
    return saved;
  }
}

export async function saveIdentity(
  directory: string,
  files: PrivateFiles,
  identity: SidecarIdentity,
): Promise<void> {
  await files.replace(`${directory}/${IDENTITY_FILE}`, new TextEncoder().encode(JSON.stringify(identity)));
}
