/** `bowline run` and its flags, and the workers that it starts. What they do is loaded when they run. */
import type { Command } from "commander";
import {
  collect,
  collectEach,
  dataOption,
  type Finish,
  flag,
  hostAndPort,
  ipAddress,
  wholeNumber,
} from "./flags.ts";
import { limitsHelp } from "./limit_flag.ts";

/** Processes that `run --workers` starts at most; more than any machine has cores for. */
const WORKERS_MAX = 256;

export function addRun(program: Command, finish: Finish): void {
  program.command("run")
    .description("run the control plane, a sidecar or a gateway")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline run --role control-plane --config /etc/bowline\n" +
        "  bowline run --role sidecar --token-file token.jwt\n" +
        "  bowline run --role sidecar --data /var/lib/bowline --address 10.0.0.7\n" +
        "  bowline run --role sidecar --limit drain-time=2m --limit http2-streams=250\n" +
        "  bowline run --role gateway --token-file token.jwt --credentials /etc/bowline/credentials\n",
    )
    .addHelpText("after", limitsHelp)
    .addOption(
      flag("--role <role>", "what to be").choices(["control-plane", "sidecar", "gateway"])
        .makeOptionMandatory(),
    )
    .addOption(flag("--config <dir>", "control plane: directory of Istio YAML files"))
    .addOption(
      flag(
        "--trust-domain <domain>",
        "control plane: of the SPIFFE IDs that it issues; with --platform-token-file: of the mesh " +
          "(default: cluster.local)",
      ),
    )
    .addOption(
      flag("--ca <dir>", "control plane: sign with the CA in ca-cert.pem, ca-key.pem, root-cert.pem there"),
    )
    .addOption(
      flag("--cert-ttl <duration>", "control plane: life of certificates, 1m to 2160h (default: 24h)"),
    )
    .addOption(
      flag(
        "--rejoin-grace <duration>",
        "control plane: how long after its certificate has expired a workload may come back with its key, " +
          "up to 168h (default: 24h)",
      ),
    )
    .addOption(
      flag("--enrolment <file>", "control plane: YAML of the platforms whose tokens let workloads join"),
    )
    .addOption(flag("--token-file <file>", "sidecar, gateway: the join token, needed until it has joined"))
    .addOption(
      flag("--platform-token-file <file>", "sidecar, gateway: instead, a JWT that the platform issued"),
    )
    .addOption(flag("--root-cert <file>", "with --platform-token-file: roots of the mesh, PEM"))
    .addOption(
      flag("--control-plane <host:port>", "sidecar, gateway: instead of the address in the token")
        .argParser(hostAndPort),
    )
    .addOption(
      flag("--address <address>", "sidecar, gateway: where others reach the workload").argParser(ipAddress),
    )
    .addOption(
      flag(
        "--workers <n>",
        "processes that share the ports and the work (default: 1 for a sidecar, all cores for a gateway)",
      )
        .argParser(wholeNumber(1, WORKERS_MAX)),
    )
    .addOption(
      flag(
        "--credentials <dir>",
        "sidecar, gateway: NAME/tls.crt, tls.key, ca.crt, ca.crl of each credentialName",
      ),
    )
    .addOption(
      flag("--limit <name=value>", "sidecar, gateway: change one of the limits below; may be repeated")
        .argParser(collectEach),
    )
    .addOption(
      flag(
        "--jwks-allow <network>",
        "sidecar, gateway: ask for keys of JWTs there too, loopback or link-local; may be repeated",
      )
        .argParser(collectEach),
    )
    .addOption(dataOption("where keys and state are kept"))
    .addOption(flag("--bind <address>", "move all listeners to this address").argParser(ipAddress))
    .action(async (options) => {
      const { runRun } = await import("./run_command.ts");
      finish(await runRun(options));
    });
}

/** One of the processes that `run --workers` starts. */
export function addWorker(program: Command, finish: Finish): void {
  program.command("worker", { hidden: true })
    .requiredOption("--number <n>", "", wholeNumber(1, WORKERS_MAX))
    .option("--socket <name>", "", collect, [])
    .action(async (options) => {
      const { runWorker } = await import("./worker_command.ts");
      finish(await runWorker(options));
    });
}
