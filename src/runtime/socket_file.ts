/** A socket of the file system, to listen at: the file that stands for it, and what a process left there that was killed. */
import { lstatSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { ListenError } from "./listen_error.ts";

/** The user of the process and its group may call: mode 0660. */
const GROUP_UMASK = 0o117;

/** Listens at a path, where nobody does and no other file is; abstract names have no file. Throws ListenError. */
export function atSocketFile<Listening>(path: string, listen: () => Listening): Listening {
  if (path.startsWith("\0")) {
    try {
      return listen();
    } catch (error) {
      throw ListenError.of(`@${path.slice(1)}`, error);
    }
  }
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket()) throw ListenError.of(path, { code: "EEXIST" });
  if (there === undefined && lstatSync(dirname(path), { throwIfNoEntry: false }) === undefined) {
    throw ListenError.of(path, { code: "ENOENT" });
  }
  // Set for the moment of binding, so that there is none in which anybody else could connect.
  const umask = process.umask(GROUP_UMASK);
  try {
    if (there !== undefined && isLeft(path)) unlinkSync(path);
    return listen();
  } catch (error) {
    throw ListenError.of(path, error);
  } finally {
    process.umask(umask);
  }
}

/** Whether nobody listens any more. Of a path Bun tells at once that it is refused, and of the others later, or never. */
function isLeft(path: string): boolean {
  let refused = false;
  Bun.connect({
    unix: path,
    socket: {
      data() {},
      open: (socket) => void socket.terminate(),
      connectError: (_socket, { code }: Error & { code?: string }) => {
        refused = code === "ECONNREFUSED";
      },
    },
  }).catch(() => {});
  return refused;
}
