/** Where a process keeps what must survive it: keys, the CA, the last good state, the admin socket. */
import { access, constants, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { FileError, makePrivateDirectory } from "./files.ts";
import { environmentVariable, isRoot } from "./process.ts";

/** What the choice of the default depends on. */
export interface DataDirectoryFacts {
  /** `$STATE_DIRECTORY`, which systemd sets for `StateDirectory=`; the first of several counts. */
  readonly stateDirectory: string | undefined;
  readonly root: boolean;
  /** `$XDG_STATE_HOME`; ignored unless absolute, as the XDG Base Directory specification asks. */
  readonly stateHome: string | undefined;
  readonly home: string;
}

const OTHERS_MAY_WRITE = 0o022;

/** The data directory of a process that was given none. */
export function chooseDataDirectory(facts: DataDirectoryFacts = systemFacts()): string {
  const fromSystemd = facts.stateDirectory?.split(":")[0];
  if (fromSystemd !== undefined && fromSystemd !== "") return fromSystemd;
  if (facts.root) return "/var/lib/bowline";
  const stateHome = facts.stateHome !== undefined && isAbsolute(facts.stateHome)
    ? facts.stateHome
    : join(facts.home, ".local", "state");
  return join(stateHome, "bowline");
}

/** Makes the data directory (0700) where there is none, and sees to it that it can be used. Throws FileError. */
export async function prepareDataDirectory(path: string): Promise<void> {
  try {
    await makePrivateDirectory(path);
  } catch (error) {
    throw withHint(error);
  }
  const { mode } = await stat(path);
  // Whoever may write here could swap the keys. It is not for us to change it: the user may have named /tmp.
  if ((mode & OTHERS_MAY_WRITE) !== 0) {
    throw new FileError(
      "permission-denied",
      path,
      `Cannot use the data directory ${path}: other users may write to it; chmod 700 it, or choose another with --data`,
    );
  }
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw withHint(FileError.of("write to the data directory", path, error));
  }
}

/** `error` with what to do about it. */
function withHint(error: unknown): unknown {
  if (!(error instanceof FileError)) return error;
  const { code, path, message } = error;
  return new FileError(
    code,
    path,
    `${message}; with --data choose one that this user may write to`,
    {
      cause: error,
    },
  );
}

function systemFacts(): DataDirectoryFacts {
  return {
    stateDirectory: environmentVariable("STATE_DIRECTORY"),
    root: isRoot(),
    stateHome: environmentVariable("XDG_STATE_HOME"),
    home: environmentVariable("HOME") ?? homedir(),
  };
}
