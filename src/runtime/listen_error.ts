/** Why an address could not be listened on, for the person who starts the process. */
import { formatAuthority } from "../lib/authority.ts";
import { messageOf } from "../lib/message_of.ts";

export type ListenErrorCode =
  | "address-in-use"
  | "permission-denied"
  | "address-not-available"
  | "listen-failed";

export class ListenError extends Error {
  override readonly name = "ListenError";

  private constructor(
    readonly code: ListenErrorCode,
    message: string,
    /** What to do about it, where more can be said than the message does. */
    readonly hint: string | undefined,
    cause: unknown,
  ) {
    super(message, { cause });
  }

  /** `where` is an address and port, or the path of a Unix socket. */
  static of(
    where: { readonly hostname: string; readonly port: number } | string,
    cause: unknown,
  ): ListenError {
    const isPath = typeof where === "string";
    const place = isPath ? where : formatAuthority(where);
    const say = (code: ListenErrorCode, reason: string, hint?: string) =>
      new ListenError(code, `Cannot listen on ${place}: ${reason}`, hint, cause);
    switch ((cause as { code?: unknown } | null)?.code) {
      case "EADDRINUSE":
        return say(
          "address-in-use",
          "another process already does",
          isPath
            ? "stop it, or choose another directory with --data"
            : "stop it, or choose another address with --bind",
        );
      case "EEXIST":
        return say("address-in-use", "there is a file of that name, which is no socket");
      case "ENOENT":
        return say("listen-failed", "its directory is not there");
      case "EACCES":
      case "EPERM":
        return say(
          "permission-denied",
          "permission denied",
          isPath ? "see who owns the directory" : "ports below 1024 need CAP_NET_BIND_SERVICE",
        );
      case "EADDRNOTAVAIL":
        return say(
          "address-not-available",
          "this machine does not have that address",
          "choose one of its own with --bind",
        );
      default:
        return say("listen-failed", messageOf(cause));
    }
  }
}
