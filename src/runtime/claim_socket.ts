/** The right to begin what one process alone may begin, before it listens at the socket where it will be spoken to. */
import { answers } from "./http_server.ts";
import { ListenError } from "./listen_error.ts";
import { lockFile } from "./process_lock.ts";

/**
 * For whoever will listen at that Unix socket. Returns how to give it back; throws
 * ListenError when another process has begun, or answers there. Of several that begin at once one has it.
 */
export async function claimSocket(path: string): Promise<() => void> {
  const taken = () =>
    ListenError.of(path, Object.assign(new Error("Another process has it"), { code: "EADDRINUSE" }));
  const release = lockFile(`${path}.lock`);
  if (release === null) throw taken();
  // One of an older version has no lock.
  if (!await answers(path)) return release;
  release();
  throw taken();
}
