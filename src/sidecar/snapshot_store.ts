/** The last snapshot that served, on disk: a sidecar starts from it when the control plane is away. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import type { ResourceKey, Snapshot, VersionedResource } from "../model/snapshot.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { Log } from "../telemetry/log.ts";

/** Name in the data directory. */
const SNAPSHOT_FILE = "snapshot.json";
const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;

/** Changes that follow each other this closely are written once. */
const SAVE_DELAY_MS = 500;

export interface SnapshotStoreOptions {
  readonly directory: string;
  readonly files: PrivateFiles;
  readonly clock: Clock;
  readonly log: Log;
}

export class SnapshotStore {
  readonly #options: SnapshotStoreOptions;
  #latest: Snapshot | null = null;
  #cancelTimer: (() => void) | null = null;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: SnapshotStoreOptions) {
    this.#options = options;
  }

  /** Undefined when there is none that can be used; why not is in the log. */
  async load(): Promise<Snapshot | undefined> {
    const { directory, files, log } = this.#options;
    const path = `${directory}/${SNAPSHOT_FILE}`;
    try {
      const bytes = await files.read(path, SNAPSHOT_BYTES_MAX);
      if (bytes === undefined) return undefined;
      return new Map(JSON.parse(new TextDecoder().decode(bytes)) as [ResourceKey, VersionedResource][]);
    } catch (error) {
      log.warn("Cannot use the snapshot on disk; waiting for the control plane", {
        path,
        reason: messageOf(error),
      });
      return undefined;
    }
  }

  /** Writes it soon, in the background. */
  save(snapshot: Snapshot): void {
    this.#latest = snapshot;
    this.#cancelTimer ??= this.#options.clock.after(SAVE_DELAY_MS, () => void this.flush());
  }

  /** Resolves when what was saved is on disk, or could not be written. */
  flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const snapshot = this.#latest;
    this.#latest = null;
    if (snapshot !== null) this.#saving = this.#saving.then(() => this.#write(snapshot));
    return this.#saving;
  }

  async #write(snapshot: Snapshot): Promise<void> {
    const { directory, files, log } = this.#options;
    try {
      const bytes = new TextEncoder().encode(JSON.stringify([...snapshot]));
      await files.replace(`${directory}/${SNAPSHOT_FILE}`, bytes);
    } catch (error) {
      // Serving goes on; only a start without the control plane would find an older state.
      log.warn("Could not keep the snapshot on disk", { reason: messageOf(error) });
    }
  }
}
