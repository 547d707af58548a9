/** Why an address could not be listened on, for the person who starts the process. */

export type ListenErrorCode =
  | "address-in-use"
  | "permission-denied"
  | "address-not-available"
  | "listen-failed";

export class ListenError extends Error {
  override readonly name = "ListenError";

  private constructor(readonly code: ListenErrorCode, message: string, cause: unknown) {
    super(message, { cause });
  }

  static of(
    where: { readonly hostname: string; readonly port: number } | string,
    cause: unknown,
  ): ListenError {
    const place = typeof where === "string" ? where : `${where.hostname}:${where.port}`;
    const systemCode = (cause as { code?: unknown } | null)?.code;
    switch (systemCode) {
      case "EADDRINUSE":
        return new ListenError(
          "address-in-use",
          `Cannot listen on ${place}: another process already does; stop it, or choose another address with --bind`,
          cause,
        );
      case "EACCES":
      case "EPERM":
        return new ListenError(
          "permission-denied",
          `Cannot listen on ${place}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE`,
          cause,
        );
      case "EADDRNOTAVAIL":
        return new ListenError(
          "address-not-available",
          `Cannot listen on ${place}: this machine does not have that address; choose one of its own with --bind`,
          cause,
        );
      default: {
        const reason = cause instanceof Error ? cause.message : String(cause);
        return new ListenError("listen-failed", `Cannot listen on ${place}: ${reason}`, cause);
      }
    }
  }
}
