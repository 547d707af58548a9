/** Enrolment by a token that a platform issued: who it means, and that it is used for one key alone. */
import type { PlatformIssuer } from "../../config/enrolment/enrolment_file.ts";
import type { PlatformEnrolRequest } from "../../model/enrolment.ts";
import type { Joiner } from "../check_joiner.ts";
import { publicKeyHash, publicKeyOfRequest } from "../certificate_request.ts";
import type { Citadel } from "../citadel.ts";
import type { Issued } from "../issuer.ts";
import { platformTokenRefused } from "../citadel_error.ts";
import { type MeantWorkload, meantWorkload } from "./claim_rules.ts";
import type { PlatformTokens } from "./platform_tokens.ts";
import type { UsedTokens } from "./used_tokens.ts";

export interface PlatformEnrolmentOptions {
  readonly citadel: Citadel;
  readonly tokens: PlatformTokens;
  readonly used: UsedTokens;
  /** What the files say of whom a token means; throws CitadelError `request_invalid`. */
  joinerOf(meant: MeantWorkload): Joiner;
}

export class PlatformEnrolment {
  readonly #options: PlatformEnrolmentOptions;

  constructor(options: PlatformEnrolmentOptions) {
    this.#options = options;
  }

  /** From now on these issuers count, and no others. */
  use(issuers: readonly PlatformIssuer[]): void {
    this.#options.tokens.use(issuers);
  }

  /** Throws CitadelError `token_*`, `keys_unavailable`, `csr_refused`, `request_invalid`, `storage_failed`; PrivateFileError. */
  async enrol({ platformToken, csr }: PlatformEnrolRequest): Promise<Issued> {
    const { citadel, tokens, used, joinerOf } = this.#options;
    const { issuer, claims, number, exp } = await tokens.verify(platformToken);
    const { issuer: name } = issuer;
    // For the log: what says whose token it is, and none of its secret.
    const whose = `token of ${name} for ${JSON.stringify(claims["sub"] ?? null)}`;
    const meant = meantWorkload(claims, issuer.rules);
    if ("why" in meant) {
      throw platformTokenRefused("token_invalid", `The ${whose} is for nobody: ${meant.why}`);
    }
    const joiner = joinerOf(meant);
    const publicKey = await publicKeyOfRequest(csr);
    if (number !== undefined && !await used.use(name, number, exp, await publicKeyHash(publicKey))) {
      throw platformTokenRefused("token_used", `The ${whose} was used already, with another key`);
    }
    // Without a number it may be used again, until it expires.
    return { ...await citadel.enrolAs(joiner, publicKey, whose), usesUp: number !== undefined };
  }
}
