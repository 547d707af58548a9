/** The command line: which commands and flags there are. What a command does stands in its own module, loaded when it runs. */
import { Command, CommanderError } from "commander";
import { ListenError } from "../runtime/listen_error.ts";
import { environmentVariable, writeStderr, writeStdout } from "../runtime/process.ts";
import { SEVERITIES } from "../config/finding.ts";
import { chapterList, DEFAULT_CHAPTER } from "./demo/chapters.ts";
import { collect, dataOption, flag, outputOption, wholeNumber } from "./flags.ts";
import { limitsHelp } from "./limit_flag.ts";
import { addCa, addCert, addCerts } from "./certificate_flags.ts";
import { addToken } from "./token_flags.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printError, printMessage } from "./output.ts";

const EXAMPLES = `Examples:
  bowline demo                                         watch a whole mesh run on this machine
  bowline run --role control-plane --config mesh/      start a control plane
  bowline run --role sidecar --token-file token.jwt    join it, on the machine of a service
`;

/** Processes that `run --workers` starts at most; more than any machine has cores for. */
export const WORKERS_MAX = 256;

/** Calls that `tap --count` waits for at most. */
const TAP_COUNT_MAX = 1_000_000_000;

/** Requests that `demo --requests` sends at most. */
const DEMO_REQUESTS_MAX = 1_000_000;

/** Runs one command to its end; a failure has been told to the user when this returns. */
export async function runProgram(args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = createProgram((code) => exitCode = code, args[0]);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander ends help that was asked for with 0, and everything else, already told, with 1.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return reportFailure(error);
  }
}

/** Tells the user in one line why the program ends; the stack is for those who ask for it. */
export function reportFailure(error: unknown): ExitCode {
  const debug = environmentVariable("BOWLINE_DEBUG") !== undefined;
  if (error instanceof CommandError) {
    printError(error);
    if (debug) printMessage(stackOf(error));
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (isOperatingCondition(error)) {
    printError({ message, hint: error instanceof ListenError ? error.hint : undefined });
    if (debug) printMessage(stackOf(error));
    return error instanceof ListenError ? EXIT.unavailable : EXIT.error;
  }
  printError({
    message: `Internal error: ${message.split("\n", 1)[0]}`,
    hint: debug ? undefined : "this is a bug in bowline; BOWLINE_DEBUG=1 shows where it happened",
  });
  if (debug) printMessage(stackOf(error));
  return EXIT.error;
}

/** Takes the exit code of the command that ran. */
type Finish = (exitCode: ExitCode) => void;

/** Each by its first word. */
const COMMANDS: readonly (readonly [name: string, add: (program: Command, finish: Finish) => void])[] = [
  ["run", addRun],
  ["worker", addWorker],
  ["token", addToken],
  ["demo", addDemo],
  ["demo-app", addDemoApp],
  ["validate", addValidate],
  ["analyze", addAnalyze],
  ["explain", addExplain],
  ["diff", addDiff],
  ["test", addTest],
  ["graph", addGraph],
  ["proxy-status", addProxyStatus],
  ["certs", addCerts],
  ["cert", addCert],
  ["ca", addCa],
  ["policy", addPolicy],
  ["tap", addTap],
  ["version", addVersion],
];

/**
 * The command tree: all of it, or what stands below this first word; `finish` takes the exit code of the command that
 * ran.
 */
export function createProgram(finish: Finish, only?: string): Command {
  const program = new Command("bowline")
    .description("A service mesh in one executable")
    .addHelpText("before", EXAMPLES)
    .addHelpText("after", "\nEvery flag also reads the environment: --token-file is BOWLINE_TOKEN_FILE.")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .exitOverride()
    .configureOutput({
      writeOut: writeStdout,
      writeErr: writeStderr,
      outputError: (text) => printUsageError(text, chosen[0]?.[0]),
    });

  // A daemon would keep the others for as long as it lives.
  const chosen = COMMANDS.filter(([name]) => name === only);
  for (const [, add] of chosen.length > 0 ? chosen : COMMANDS) add(program, finish);
  return program;
}

function addRun(program: Command, finish: Finish): void {
  program.command("run")
    .description("run the control plane, a sidecar or a gateway")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline run --role control-plane --config /etc/bowline\n" +
        "  bowline run --role sidecar --token-file token.jwt\n" +
        "  bowline run --role sidecar --data /var/lib/bowline --address 10.0.0.7\n" +
        "  bowline run --role sidecar --limit drain-time=2m --limit http2-streams=250\n",
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
    .addOption(flag("--control-plane <host:port>", "sidecar, gateway: instead of the address in the token"))
    .addOption(flag("--address <address>", "sidecar, gateway: where others reach the workload"))
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
        .argParser(collect),
    )
    .addOption(
      flag(
        "--jwks-allow <network>",
        "sidecar, gateway: ask for keys of JWTs there too, loopback or link-local; may be repeated",
      )
        .argParser(collect),
    )
    .addOption(dataOption("where keys and state are kept"))
    .addOption(flag("--bind <address>", "move all listeners to this address"))
    .action(async (options) => {
      const { runRun } = await import("./run_command.ts");
      finish(await runRun(options));
    });
}

/** One of the processes that `run --workers` starts. */
function addWorker(program: Command, finish: Finish): void {
  program.command("worker", { hidden: true })
    .requiredOption("--number <n>", "", wholeNumber(1, WORKERS_MAX))
    .action(async (options) => {
      const { runWorker } = await import("./worker_command.ts");
      finish(await runWorker(options));
    });
}

function addDemo(program: Command, finish: Finish): void {
  program.command("demo")
    .description("run the whole tutorial mesh on this machine")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline demo\n" +
        "  bowline demo mirroring\n" +
        "  bowline demo --requests 1000 -o json\n" +
        "  bowline demo user-agent --requests 100 --header 'baggage-user-agent: Safari'\n",
    )
    .argument("[chapter]", `of the tutorial (default: ${DEFAULT_CHAPTER})`)
    .addHelpText("after", `\nChapters:\n${chapterList()}`)
    .addOption(
      flag("--requests <n>", "send this many requests, print what came back, and end: with 1 if any failed")
        .argParser(wholeNumber(1, DEMO_REQUESTS_MAX)),
    )
    .addOption(
      flag("-H, --header <name: value>", "add a header to each request; may be repeated").argParser(collect),
    )
    .addOption(flag("--config <dir>", "use this directory of Istio YAML files instead of the tutorial's"))
    .addOption(outputOption())
    .action(async (chapter: string | undefined, { header = [], ...options }) => {
      const { runDemo } = await import("./demo_command.ts");
      finish(await runDemo({ ...options, chapter, headers: header }));
    });
}

/** One program of the tutorial mesh, which `demo` starts. */
function addDemoApp(program: Command, finish: Finish): void {
  program.command("demo-app", { hidden: true })
    .requiredOption("--name <name>")
    .requiredOption("--says <text>")
    .requiredOption("--bind <address>")
    .option("--next <service>")
    .option("--proxy <url>")
    .action(async (options) => {
      const { runDemoApp } = await import("./demo_app_command.ts");
      finish(await runDemoApp(options));
    });
}

function addValidate(program: Command, finish: Finish): void {
  program.command("validate")
    .description("check Istio YAML files as one configuration")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline validate /etc/bowline\n" +
        "  bowline validate --lenient istio/ services.yaml\n",
    )
    .argument("<path...>", "files and directories")
    .addOption(
      flag("--lenient", "only warn of fields and kinds that are not implemented").default(false, "off"),
    )
    .addOption(outputOption())
    .action(async (paths: string[], options: { output: OutputFormat; lenient: boolean }) => {
      const { runValidate } = await import("./validate_command.ts");
      finish(await runValidate(paths, options));
    });
}

function addExplain(program: Command, finish: Finish): void {
  program.command("explain")
    .description("show where a request would go, and why")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline explain --config mesh/ --from tutorial/customer http://preference:8080/\n" +
        "  bowline explain --config mesh/ --from shop/web POST http://cart/items -H 'x-user: ann' -o json\n",
    )
    .argument("<[method] url...>", "the request; GET when only the URL is given")
    .addOption(flag("--config <dir>", "directory of Istio YAML files").makeOptionMandatory())
    .addOption(flag("--from <ns/workload>", "who calls").makeOptionMandatory())
    .addOption(
      flag("-H, --header <name: value>", "a header of the request; may be repeated").argParser(collect),
    )
    .addOption(flag("--client <address>", "who calls, where --from is a gateway"))
    .addOption(flag("--claims <json>", "what the request's token holds, which is taken for verified"))
    .addOption(outputOption())
    .action(async (request: string[], { header = [], ...options }) => {
      const [url, method = "GET", ...excess] = request.toReversed();
      if (excess.length > 0) {
        throw new CommandError(EXIT.usage, "Too many arguments for 'explain'", "it takes [METHOD] URL");
      }
      const { runExplain } = await import("./explain_command.ts");
      finish(await runExplain({ ...options, url, method, headers: header }));
    });
}

function addAnalyze(program: Command, finish: Finish): void {
  program.command("analyze")
    .description("look for mistakes in resources and across them")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline analyze /etc/bowline\n" +
        "  bowline analyze mesh/ --failure-threshold error --suppress 'IST0101=VirtualService reviews.*'\n",
    )
    .argument("<dir>", "directory of Istio YAML files")
    .addOption(
      flag("--failure-threshold <severity>", "end with 79 from this severity on").choices(SEVERITIES)
        .default("warning"),
    )
    .addOption(
      flag("--suppress <code[=resource]>", "leave these findings out; may be repeated").argParser(collect),
    )
    .addOption(outputOption())
    .action(async (path: string, { suppress = [], ...options }) => {
      const { runAnalyze } = await import("./analyze_command.ts");
      finish(await runAnalyze(path, { ...options, suppress }));
    });
}

function addDiff(program: Command, finish: Finish): void {
  program.command("diff")
    .description("show what a change of the files would change for each workload")
    .addHelpText("before", "Examples:\n  bowline diff /etc/bowline mesh/\n  bowline diff old/ new/ -o json\n")
    .argument("<old>", "directory of Istio YAML files")
    .argument("<new>", "the same after the change")
    .addOption(outputOption())
    .action(async (oldPath: string, newPath: string, { output }: { output: OutputFormat }) => {
      const { runDiff } = await import("./diff_command.ts");
      finish(await runDiff(oldPath, newPath, output));
    });
}

function addTest(program: Command, finish: Finish): void {
  program.command("test")
    .description("check where requests would go against what a file expects")
    .addHelpText(
      "before",
      "Examples:\n  bowline test routing_test.yaml\n  bowline test --config mesh/ tests/*.yaml -o json\n",
    )
    .argument("<file...>", "files of expectations")
    .addOption(
      flag("--config <dir>", "directory of Istio YAML files, instead of the one that the file names"),
    )
    .addOption(outputOption())
    .action(async (files: string[], options: { output: OutputFormat; config?: string }) => {
      const { runTest } = await import("./test_command.ts");
      finish(await runTest(files, options));
    });
}

function addGraph(program: Command, finish: Finish): void {
  program.command("graph")
    .description("show who called whom, how often and how well")
    .addHelpText("before", "Examples:\n  bowline graph\n  bowline graph --data /var/lib/bowline -o json\n")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (options) => {
      const { runGraph } = await import("./graph_command.ts");
      finish(await runGraph(options));
    });
}

function addProxyStatus(program: Command, finish: Finish): void {
  program.command("proxy-status")
    .description("show the connected proxies and whether they have the current configuration")
    .addHelpText("before", "Examples:\n  bowline proxy-status\n  bowline proxy-status -o json\n")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (options) => {
      const { runProxyStatus } = await import("./proxy_status_command.ts");
      finish(await runProxyStatus(options));
    });
}

function addTap(program: Command, finish: Finish): void {
  program.command("tap")
    .description("watch calls as they end, with the reason of each refusal")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline tap\n" +
        "  bowline tap shop/web --failed\n" +
        "  bowline tap shop/web --count 10 -o json\n",
    )
    .argument("[workload]", "NAMESPACE/NAME; without it, all")
    .addOption(flag("--failed", "only calls that failed or were refused"))
    .addOption(flag("--count <n>", "end after so many calls").argParser(wholeNumber(1, TAP_COUNT_MAX)))
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (workload: string | undefined, options) => {
      const { runTap } = await import("./tap_command.ts");
      finish(await runTap(workload, options));
    });
}

function addPolicy(program: Command, finish: Finish): void {
  const policy = program.command("policy").description("AuthorizationPolicies and the calls that were seen");
  policy.command("suggest")
    .description("write the policies that allow the calls seen so far, and no others")
    .addHelpText(
      "before",
      "Examples:\n  bowline policy suggest > policies.yaml\n  bowline policy suggest shop/web\n",
    )
    .argument("[workload]", "NAMESPACE/NAME; without it, all that were called")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (workload: string | undefined, options: { output: OutputFormat; data?: string }) => {
      const { runPolicySuggest } = await import("./policy_suggest_command.ts");
      finish(await runPolicySuggest(workload, options));
    });
  policy.command("simulate")
    .description("say what policies would do to the calls seen so far")
    .addHelpText(
      "before",
      "Examples:\n  bowline policy simulate candidate.yaml\n  bowline policy simulate policies/ -o json\n",
    )
    .argument("<path...>", "files or directories with AuthorizationPolicies")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (paths: string[], options: { output: OutputFormat; data?: string }) => {
      const { runPolicySimulate } = await import("./policy_simulate_command.ts");
      finish(await runPolicySimulate(paths, options));
    });
}

function addVersion(program: Command, finish: Finish): void {
  program.command("version")
    .description("show which bowline this is")
    .addHelpText("before", "Examples:\n  bowline version\n  bowline version -o json\n")
    .addOption(outputOption())
    .action(async (options: { output: OutputFormat }) => {
      const { runVersion } = await import("./version_command.ts");
      finish(await runVersion(options));
    });
}

/** Commander's `error: …` and `(Did you mean …?)`, in the words and form of every other message. */
function printUsageError(text: string, command: string | undefined): void {
  const [first = "", ...rest] = text.trimEnd().split("\n");
  const message = first.replace(/^error: /, "").replace(/\.$/, "");
  const hint = rest.join(" ").replace(/^\(D(.*)\)$/, "d$1");
  printError({
    message: message.charAt(0).toUpperCase() + message.slice(1),
    hint: hint !== ""
      ? hint
      : command === undefined
      ? "bowline --help shows the commands, bowline help COMMAND its flags"
      : `bowline help ${command} shows examples, arguments and flags`,
  });
}

/** Our typed errors and the system's carry a code; what the language and its library throw at a bug does not. */
function isOperatingCondition(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return error instanceof Error && typeof code === "string" && !code.startsWith("ERR_");
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
