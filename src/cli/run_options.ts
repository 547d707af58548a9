/** What the flags of `bowline run` say, and what they must not: each mistake is a CommandError with a hint. */
import { parseDuration } from "../lib/duration.ts";
import { Network } from "../lib/ip.ts";
import { controlPlaneId, parseSpiffeId, TRUST_DOMAIN_DEFAULT } from "../model/spiffe_id.ts";
import type { PlatformTrust } from "../sidecar/joining.ts";
import { CommandError, EXIT } from "./exit_codes.ts";

export interface RunOptions {
  readonly role: "control-plane" | "sidecar" | "gateway";
  readonly config?: string;
  readonly trustDomain?: string;
  /** A Go duration. */
  readonly certTtl?: string;
  /** A Go duration. */
  readonly rejoinGrace?: string;
  /** File of the platforms that vouch for workloads. */
  readonly enrolment?: string;
  /** Directory of a CA to plug in. */
  readonly ca?: string;
  readonly tokenFile?: string;
  readonly platformTokenFile?: string;
  /** PEM file of the mesh's roots. */
  readonly rootCert?: string;
  readonly controlPlane?: string;
  readonly address?: string;
  readonly credentials?: string;
  readonly workers?: number;
  /** `NAME=VALUE`. */
  readonly limit?: readonly string[];
  /** Networks, each text with commas between them. */
  readonly jwksAllow?: readonly string[];
  readonly data?: string;
  readonly bind?: string;
}

/** A flag that the role does not read would be ignored in silence. */
export function refuseForeignFlags(options: RunOptions): void {
  const { role } = options;
  const foreign = role === "control-plane"
    ? {
      "--token-file": options.tokenFile,
      "--platform-token-file": options.platformTokenFile,
      "--root-cert": options.rootCert,
      "--control-plane": options.controlPlane,
      "--address": options.address,
      "--credentials": options.credentials,
      "--workers": options.workers,
      "--limit": options.limit,
      "--jwks-allow": options.jwksAllow,
    }
    : {
      "--config": options.config,
      "--ca": options.ca,
      "--cert-ttl": options.certTtl,
      "--rejoin-grace": options.rejoinGrace,
      "--enrolment": options.enrolment,
    };
  for (const [flag, value] of Object.entries(foreign)) {
    if (value !== undefined) {
      throw new CommandError(
        EXIT.usage,
        `${flag} is not for the role ${role}`,
        "bowline help run shows which is for what",
      );
    }
  }
}

export function readNetworks(texts: readonly string[]): readonly string[] {
  const wrong = texts.find((text) => Network.parse(text) === null);
  if (wrong === undefined) return texts;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(wrong)} is neither an IP address nor a network`,
    "for instance --jwks-allow 127.0.0.1 or --jwks-allow 169.254.10.0/24",
  );
}

/** Milliseconds. */
export async function readCertTtl(text: string): Promise<number> {
  const { LEAF_LIFE_MAX_MS, LEAF_LIFE_MIN_MS } = await import(
    "../citadel/authority/certificate_authority.ts"
  );
  const ttlMs = parseDuration(text);
  if (ttlMs !== undefined && ttlMs >= LEAF_LIFE_MIN_MS && ttlMs <= LEAF_LIFE_MAX_MS) return ttlMs;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(text)} is no life for a certificate`,
    "a duration from 1m to 2160h, which is 90 days, for instance --cert-ttl 12h",
  );
}

/** Milliseconds. */
export async function readRejoinGrace(text: string): Promise<number> {
  const { REJOIN_GRACE_MAX_MS } = await import("../citadel/issuer.ts");
  const graceMs = parseDuration(text);
  if (graceMs !== undefined && graceMs <= REJOIN_GRACE_MAX_MS) return graceMs;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(text)} is no time to rejoin in`,
    "a duration from 0s, which is never, to 168h, which is 7 days, for instance --rejoin-grace 72h",
  );
}

/** A join token says where the control plane is and by what it is known; a platform's token says neither. */
export function readPlatformTrust(options: RunOptions): PlatformTrust | undefined {
  const { platformTokenFile, rootCert, controlPlane, tokenFile, trustDomain = TRUST_DOMAIN_DEFAULT } =
    options;
  if (platformTokenFile === undefined) {
    if (rootCert === undefined && options.trustDomain === undefined) return undefined;
    const flag = rootCert === undefined ? "--trust-domain" : "--root-cert";
    throw new CommandError(
      EXIT.usage,
      `${flag} goes with --platform-token-file`,
      "a join token says it itself",
    );
  }
  if (tokenFile !== undefined) {
    throw new CommandError(EXIT.usage, "--token-file and --platform-token-file exclude each other");
  }
  if (controlPlane === undefined || rootCert === undefined) {
    throw new CommandError(
      EXIT.usage,
      "--platform-token-file needs --control-plane and --root-cert",
      "for instance --control-plane 10.0.0.1:15012 --root-cert roots.pem",
    );
  }
  return { tokenFile: platformTokenFile, rootCert, trustDomain: checkedTrustDomain(trustDomain) };
}

export function checkedTrustDomain(trustDomain: string): string {
  if (parseSpiffeId(controlPlaneId(trustDomain)) !== undefined) return trustDomain;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(trustDomain)} is not a trust domain`,
    "lower-case letters, digits, dots, dashes and underscores, such as prod.example.com",
  );
}
