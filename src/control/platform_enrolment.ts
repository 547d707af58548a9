/** Joins enrolment by platforms' tokens to what it stands on: the files' word on who is who, the disk, the network. */
import type { Citadel } from "../citadel/citadel.ts";
import { CitadelError } from "../citadel/citadel_error.ts";
import type { MeantWorkload } from "../citadel/platform/claim_rules.ts";
import type { Joiner } from "../citadel/check_joiner.ts";
import { PlatformEnrolment } from "../citadel/platform/platform_enrolment.ts";
import { PlatformTokens } from "../citadel/platform/platform_tokens.ts";
import { UsedTokens } from "../citadel/platform/used_tokens.ts";
import type { Clock } from "../lib/clock.ts";
import type { WorkloadRegistry } from "../pilot/registry.ts";
import { boundedFetch } from "../runtime/bounded_fetch.ts";
import { pathFrom, readTextFile } from "../runtime/files.ts";
import { privateFiles } from "../runtime/private_files.ts";
import { JoinerError, joinerOf } from "./joiner.ts";

/** No issuer has so many keys. */
const KEYS_BYTES_MAX = 256 * 1024;

export interface PlatformEnrolmentParts {
  readonly citadel: Citadel;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  /** Paths in it are relative to its place. */
  readonly enrolmentFile: string;
}

/** Nobody is let in before it has issuers to use. Throws PrivateFileError. */
export async function createPlatformEnrolment(
  { citadel, registry, clock, enrolmentFile }: PlatformEnrolmentParts,
): Promise<PlatformEnrolment> {
  const tokens = new PlatformTokens({
    clock,
    readFile: (path) => readTextFile(pathFrom(enrolmentFile, path), KEYS_BYTES_MAX),
    fetchKeys: (url, init) => boundedFetch(url, init, KEYS_BYTES_MAX),
  });
  const used = await UsedTokens.open(`${citadel.directory}/tokens/platform`, privateFiles, clock);
  return new PlatformEnrolment({
    ...{ citadel, tokens, used },
    joinerOf: (meant) => meantJoiner(meant, registry),
  });
}

function meantJoiner(meant: MeantWorkload, registry: WorkloadRegistry): Joiner {
  try {
    return joinerOf(meant, registry);
  } catch (cause) {
    if (!(cause instanceof JoinerError)) throw cause;
    throw new CitadelError("request_invalid", "The token is for nobody in this mesh", cause.message, {
      cause,
    });
  }
}
