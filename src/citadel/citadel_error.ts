/** Why the certificate authority refused or could not do something: little for the caller, everything for the log. */
import { PrivateFileError } from "../runtime/private_files.ts";

export type CitadelErrorCode =
  /** The files of the CA are damaged, incomplete, or do not belong together; the control plane must not start. */
  | "ca_unusable"
  /** Not a token of this control plane: forged, altered, cut off, or for something else. */
  | "token_invalid"
  | "token_expired"
  | "token_used"
  /** Rightly signed, but not on the books: they were lost or are older than the token. */
  | "token_unknown"
  /** A platform's keys are not to be had, so its tokens cannot be checked. */
  | "keys_unavailable"
  | "csr_refused"
  | "renewal_refused"
  | "rejoin_refused"
  | "certificate_required"
  | "certificate_revoked"
  /** An operator asked for what cannot be: a wrong name, a lifetime out of range, too many tokens. */
  | "request_invalid"
  /** Of the CA's own certificates one has expired: whatever it signs is good for nothing. */
  | "ca_expired"
  /** The disk failed; nothing was handed out. */
  | "storage_failed";

export class CitadelError extends Error {
  override readonly name = "CitadelError";

  /** `message` may go to whoever asked; `detail` only to the log. Neither holds a token or a key. */
  constructor(
    readonly code: CitadelErrorCode,
    message: string,
    readonly detail: string = message,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** What a caller without a join token, or with a wrong one, is told: the same for each reason that could help an attacker. */
export function tokenRefused(
  code: keyof typeof TOKEN_MESSAGES,
  detail: string,
): CitadelError {
  return new CitadelError(code, TOKEN_MESSAGES[code], detail);
}

const TOKEN_MESSAGES = {
  token_invalid: "The join token is not valid here",
  token_expired: "The join token has expired; ask for a new one",
  token_used: "The join token was used already; ask for a new one",
  token_unknown: "The join token is not known here; ask for a new one",
} as const;

/** What a caller with a wrong token of a platform is told: as little as of a join token. */
export function platformTokenRefused(
  code: keyof typeof PLATFORM_TOKEN_MESSAGES,
  detail: string,
): CitadelError {
  return new CitadelError(code, PLATFORM_TOKEN_MESSAGES[code], detail);
}

const PLATFORM_TOKEN_MESSAGES = {
  token_invalid: "The platform's token is not valid here; the control plane's log says why",
  token_expired: "The platform's token has expired; the platform must issue a new one",
  token_used: "The platform's token was used already; the platform must issue a new one",
} as const;

/** What a caller is told who did nothing wrong. */
export const NOTHING_ISSUED = "The control plane cannot issue certificates at the moment";

/** What was to be written down; throws CitadelError `storage_failed` where it could not be. */
export async function stored<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof PrivateFileError)) throw cause;
    throw new CitadelError(
      "storage_failed",
      NOTHING_ISSUED,
      `No certificate was issued: ${cause.message}`,
      { cause },
    );
  }
}
