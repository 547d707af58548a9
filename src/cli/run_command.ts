/** `bowline run`: one of the roles, in the foreground until a signal ends it. */
import { systemClock } from "../lib/clock.ts";
import { parseDuration } from "../lib/duration.ts";
import { Network } from "../lib/ip.ts";
import { Prng, randomSeed } from "../lib/prng.ts";
import { controlPlaneId, parseSpiffeId, TRUST_DOMAIN_DEFAULT } from "../model/spiffe_id.ts";
import { BUILD_INFO } from "../runtime/build_info.ts";
import { chooseDataDirectory } from "../runtime/data_directory.ts";
import { releaseExecutablePages } from "../runtime/executable_pages.ts";
import { createLogOutput } from "../runtime/log_output.ts";
import { isTerminal, processorCount } from "../runtime/process.ts";
import { onReload, onTerminate } from "../runtime/signals.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { readLimits } from "./limit_flag.ts";
import type { PlatformTrust } from "../sidecar/joining.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";

/** Processes of a sidecar unless `--workers` says otherwise: the machine belongs to the workload. */
const SIDECAR_WORKERS = 1;

/** After this long a role that is ready has applied its first configuration, too, and does not start any more. */
const START_MS = 1_000;

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

/** Something that runs until it is told to stop. */
interface Role {
  stop(): Promise<void>;
}

export async function runRun(options: RunOptions): Promise<ExitCode> {
  const format = isTerminal("stderr") ? "text" : "json";
  const log = createLog({ clock: systemClock, format, write: createLogOutput() });
  refuseForeignFlags(options);
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => stop = resolve);
  const release = onTerminate((signal) => {
    log.info("Stopping; what is in flight may end, a second signal forces", { signal });
    stop();
  });
  // Files are watched anyway; a SIGHUP must not end the process.
  const releaseReload = onReload(() => log.info("Nothing to reload: files are watched"));
  let cancelRelease: () => void = () => {};
  try {
    const starting = options.role === "control-plane"
      ? startControlPlane(options, log)
      : startSidecar(options.role, options, log);
    // A signal while the role still starts, such as a sidecar that waits for its control plane, ends the process too.
    const role = await Promise.race([starting, stopped.then(() => null)]);
    if (role === null) return EXIT.ok;
    cancelRelease = systemClock.after(START_MS, releaseExecutablePages);
    await stopped;
    await role.stop();
    return EXIT.ok;
  } finally {
    cancelRelease();
    release();
    releaseReload();
  }
}

async function startControlPlane(options: RunOptions, log: Log): Promise<Role> {
  const { config, trustDomain = TRUST_DOMAIN_DEFAULT } = options;
  if (config === undefined) {
    throw new CommandError(
      EXIT.usage,
      "A control plane needs --config DIR",
      "a directory of Istio YAML files",
    );
  }
  checkedTrustDomain(trustDomain);
  const leafLifeMs = options.certTtl === undefined ? undefined : await readCertTtl(options.certTtl);
  const rejoinGraceMs = options.rejoinGrace === undefined
    ? undefined
    : await readRejoinGrace(options.rejoinGrace);
  const { ControlPlane } = await import("../control/control_plane.ts");
  try {
    return await ControlPlane.start({
      configPath: config,
      dataDirectory: options.data ?? chooseDataDirectory(),
      trustDomain,
      pluggedCaDirectory: options.ca,
      leafLifeMs,
      rejoinGraceMs,
      enrolmentFile: options.enrolment,
      bind: options.bind,
      clock: systemClock,
      random: new Prng(randomSeed()),
      log,
    });
  } catch (error) {
    throw await badFiles(error) ?? error;
  }
}

function readNetworks(texts: readonly string[]): readonly string[] {
  const networks = texts.flatMap((text) => text.split(",")).map((text) => text.trim());
  const wrong = networks.find((text) => Network.parse(text) === null);
  if (wrong === undefined) return networks;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(wrong)} is neither an IP address nor a network`,
    "for instance --jwks-allow 127.0.0.1 or --jwks-allow 169.254.10.0/24",
  );
}

/** Milliseconds. */
async function readCertTtl(text: string): Promise<number> {
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
async function readRejoinGrace(text: string): Promise<number> {
  const { REJOIN_GRACE_MAX_MS } = await import("../citadel/issuer.ts");
  const graceMs = parseDuration(text);
  if (graceMs !== undefined && graceMs <= REJOIN_GRACE_MAX_MS) return graceMs;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(text)} is no time to rejoin in`,
    "a duration from 0s, which is never, to 168h, which is 7 days, for instance --rejoin-grace 72h",
  );
}

/** What the operator's files are to blame for: a start with the same ones would fail again. */
async function badFiles(error: unknown): Promise<CommandError | undefined> {
  const { NoConfigError } = await import("../control/config_source.ts");
  const { EnrolmentFileError } = await import("../control/enrolment_rules.ts");
  const { CitadelError } = await import("../citadel/citadel_error.ts");
  const because = (hint?: string) =>
    new CommandError(EXIT.badInput, (error as Error).message, hint, { cause: error });
  if (error instanceof NoConfigError) return because("correct the files; `bowline validate` checks them");
  if (error instanceof EnrolmentFileError) {
    return because("correct the file of --enrolment; the log says where");
  }
  return error instanceof CitadelError && error.code === "ca_unusable" ? because() : undefined;
}

async function startSidecar(role: "sidecar" | "gateway", options: RunOptions, log: Log): Promise<Role> {
  const limits = readLimits(options.limit ?? []);
  const jwksAllow = readNetworks(options.jwksAllow ?? []);
  const platform = readPlatformTrust(options);
  const { Sidecar } = await import("../sidecar/sidecar.ts");
  const { JoinError } = await import("../sidecar/joining.ts");
  const { EnrolmentRefused } = await import("../sidecar/enrolment.ts");
  const { IdentityError } = await import("../identity/identity_error.ts");
  try {
    return await Sidecar.start({
      role,
      credentials: options.credentials,
      dataDirectory: options.data ?? chooseDataDirectory(),
      tokenFile: options.tokenFile,
      platform,
      controlPlane: options.controlPlane,
      bind: options.bind,
      address: options.address,
      workers: options.workers ?? (role === "gateway" ? processorCount() : SIDECAR_WORKERS),
      limits,
      jwksAllow,
      version: BUILD_INFO.version,
      clock: systemClock,
      random: new Prng(randomSeed()),
      log,
    });
  } catch (error) {
    if (error instanceof EnrolmentRefused) {
      throw new CommandError(
        EXIT.badInput,
        `The control plane refused to enrol: ${error.message}`,
        "`bowline token create` makes another token; ca/audit.jsonl of the control plane says why not this one",
        { cause: error },
      );
    }
    if (error instanceof JoinError || error instanceof IdentityError) {
      throw new CommandError(EXIT.badInput, error.message, undefined, { cause: error });
    }
    throw error;
  }
}

/** A join token says where the control plane is and by what it is known; a platform's token says neither. */
function readPlatformTrust(options: RunOptions): PlatformTrust | undefined {
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

function checkedTrustDomain(trustDomain: string): string {
  if (parseSpiffeId(controlPlaneId(trustDomain)) !== undefined) return trustDomain;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(trustDomain)} is not a trust domain`,
    "lower-case letters, digits, dots, dashes and underscores, such as prod.example.com",
  );
}

/** A flag that the role does not read would be ignored in silence. */
function refuseForeignFlags(options: RunOptions): void {
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
