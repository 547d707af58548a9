/** The file of a join token: what is in it, or why it cannot be read and what to do. */
import { readJoinToken } from "../identity/join_token_claims.ts";
import type { JoinTokenClaims } from "../model/enrolment.ts";
import { type FileError, isOpenToAll, readTextFile } from "../runtime/files.ts";
import type { Log } from "../telemetry/log.ts";

export const TOKEN_FILE_BYTES_MAX = 64 * 1024;

export interface Token {
  readonly text: string;
  readonly claims: JoinTokenClaims;
}

/** Throws FileError, IdentityError. */
export async function readTokenFile(path: string): Promise<Token> {
  const text = await readTextFile(path, TOKEN_FILE_BYTES_MAX);
  return { text: text.trim(), claims: readJoinToken(text, `the token file ${path}`) };
}

/** Whoever reads a token before it is used up joins in the workload's place. */
export function warnOfOpenTokenFile(
  { tokenFile, log }: { readonly tokenFile: string | undefined; readonly log: Log },
): void {
  if (tokenFile === undefined || !isOpenToAll(tokenFile)) return;
  log.warn("Every user of this machine can read the join token, and join with it; run: chmod 600 FILE", {
    tokenFile,
  });
}

/** Which file, why it cannot be read, and what to do about it. */
export function unreadableToken({ code, message }: FileError): string {
  switch (code) {
    case "not-found":
      return `${message}; \`bowline token create --workload NS/NAME\` where the control plane runs makes a token, ` +
        "to be written there";
    case "permission-denied":
      return `${message}; the file must belong to the user that runs the sidecar, or be readable by it`;
    case "wrong-kind":
      return `${message}; --token-file takes the file of the token itself`;
    default:
      return message;
  }
}
