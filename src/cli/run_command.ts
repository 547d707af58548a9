/** `bowline run`: one of the roles, in the foreground until a signal ends it. */
import { systemClock } from "../lib/clock.ts";
import { Prng, randomSeed } from "../lib/prng.ts";
import { TRUST_DOMAIN_DEFAULT } from "../model/spiffe_id.ts";
import { BUILD_INFO } from "../runtime/build_info.ts";
import { chooseDataDirectory } from "../runtime/data_directory.ts";
import { releaseExecutablePages } from "../runtime/executable_pages.ts";
import { idleSocketsWarning, placeOf, useInheritedSockets } from "../runtime/inherited_sockets.ts";
import { ListenFdsError, takeListenFds } from "../runtime/listen_fds.ts";
import { createLogOutput } from "../runtime/log_output.ts";
import { isTerminal, processorCount } from "../runtime/process.ts";
import { openServiceReport } from "../runtime/service_manager.ts";
import type { ServiceState } from "../runtime/service_report.ts";
import { onHangup, onTerminate } from "../runtime/signals.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { readLimits } from "./limit_flag.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import {
  checkedTrustDomain,
  readCertTtl,
  readNetworks,
  readPlatformTrust,
  readRejoinGrace,
  refuseForeignFlags,
  type RunOptions,
} from "./run_options.ts";

/** Processes of a sidecar unless `--workers` says otherwise: the machine belongs to the workload. */
const SIDECAR_WORKERS = 1;

/** After this long a role that is ready has applied its first configuration, too, and does not start any more. */
const START_MS = 1_000;

/** Something that runs until it is told to stop. */
interface Role {
  stop(): Promise<void>;
}

export async function runRun(options: RunOptions): Promise<ExitCode> {
  const format = isTerminal("stderr") ? "text" : "json";
  const log = createLog({ clock: systemClock, format, write: createLogOutput() });
  refuseForeignFlags(options);
  const report = await openServiceReport(systemClock, (message) => log.warn(message));
  inheritSockets(log);
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => stop = resolve);
  const release = onTerminate((signal) => {
    log.info("Stopping; what is in flight may end, a second signal forces", { signal });
    report?.stopping();
    stop();
  });
  // Files are watched anyway; a SIGHUP must not end the process.
  const releaseHangup = onHangup(() => log.info("Nothing to reload: files are watched"));
  let cancelRelease: () => void = () => {};
  try {
    const listening = (state: ServiceState) => report?.follow(state);
    const starting = options.role === "control-plane"
      ? startControlPlane(options, log, listening)
      : startSidecar(options.role, options, log, listening);
    // A signal while the role still starts, such as a sidecar that waits for its control plane, ends the process too.
    const role = await Promise.race([starting, stopped.then(() => null)]);
    if (role === null) return EXIT.ok;
    cancelRelease = systemClock.after(START_MS, releaseExecutablePages);
    await stopped;
    await role.stop();
    return EXIT.ok;
  } finally {
    cancelRelease();
    report?.close();
    release();
    releaseHangup();
  }
}

/** Takes over the sockets that the service manager keeps open from one process to the next. */
function inheritSockets(log: Log): void {
  try {
    const sockets = takeListenFds();
    useInheritedSockets(sockets);
    if (sockets.length > 0) log.info("Sockets are inherited", { sockets: sockets.map(placeOf).join(" ") });
  } catch (error) {
    if (!(error instanceof ListenFdsError)) throw error;
    throw new CommandError(EXIT.usage, error.message, "correct ListenStream= of the socket unit", {
      cause: error,
    });
  }
}

async function startControlPlane(
  options: RunOptions,
  log: Log,
  listening: (state: ServiceState) => void,
): Promise<Role> {
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
    const controlPlane = await ControlPlane.start({
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
    const idle = idleSocketsWarning();
    if (idle !== null) log.warn(idle);
    listening({ notReady: () => controlPlane.notReady(), isAlive: () => true, stopMs: 0 });
    return controlPlane;
  } catch (error) {
    throw await badFiles(error) ?? error;
  }
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

async function startSidecar(
  role: "sidecar" | "gateway",
  options: RunOptions,
  log: Log,
  onListening: (state: ServiceState) => void,
): Promise<Role> {
  const limits = readLimits(options.limit ?? []);
  const jwksAllow = readNetworks(options.jwksAllow ?? []);
  const platform = readPlatformTrust(options);
  const { Sidecar } = await import("../sidecar/sidecar.ts");
  const { JoinError } = await import("../sidecar/joining.ts");
  const { ClocksDiffer, EnrolmentRefused } = await import("../sidecar/enrolment.ts");
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
      onListening,
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
    if (error instanceof ClocksDiffer) {
      const hint = "set it right, and join with a new token: this one is used up";
      throw new CommandError(EXIT.error, error.message, hint, { cause: error });
    }
    if (error instanceof JoinError || error instanceof IdentityError) {
      throw new CommandError(EXIT.badInput, error.message, undefined, { cause: error });
    }
    throw error;
  }
}
