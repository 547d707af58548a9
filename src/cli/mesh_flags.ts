/** Commands that ask a running control plane, with their flags. What they do is loaded when they run. */
import type { Command } from "commander";
import { dataOption, type Finish, flag, outputOption, wholeNumber } from "./flags.ts";
import type { OutputFormat } from "./output.ts";

/** Calls that `tap --count` waits for at most. */
const TAP_COUNT_MAX = 1_000_000_000;

export function addGraph(program: Command, finish: Finish): void {
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

export function addProxyStatus(program: Command, finish: Finish): void {
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

export function addTap(program: Command, finish: Finish): void {
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

export function addPolicy(program: Command, finish: Finish): void {
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
