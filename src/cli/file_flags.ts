/** Commands that need files and no running mesh, with their flags. What they do is loaded when they run. */
import type { Command } from "commander";
import { SEVERITIES } from "../config/finding.ts";
import { CommandError, EXIT } from "./exit_codes.ts";
import { collect, collectEach, dataOption, type Finish, flag, outputOption } from "./flags.ts";
import type { OutputFormat } from "./output.ts";

export function addValidate(program: Command, finish: Finish): void {
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

export function addAnalyze(program: Command, finish: Finish): void {
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
      flag("--suppress <code[=resource]>", "leave these findings out; may be repeated").argParser(
        collectEach,
      ),
    )
    .addOption(outputOption())
    .action(async (path: string, { suppress = [], ...options }) => {
      const { runAnalyze } = await import("./analyze_command.ts");
      finish(await runAnalyze(path, { ...options, suppress }));
    });
}

export function addExplain(program: Command, finish: Finish): void {
  program.command("explain")
    .description("show where a request would go, and why")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline explain --config mesh/ --from tutorial/customer http://preference:8080/\n" +
        "  bowline explain --config mesh/ --from shop/web POST http://cart/items -H 'x-user: ann' -o json\n" +
        "  bowline explain --config mesh/ --from shop/web tcp://database:5432\n",
    )
    .argument("<[method] url...>", "the request; GET when only the URL is given; tcp://HOST:PORT for bytes")
    .addOption(flag("--config <dir>", "directory of Istio YAML files").makeOptionMandatory())
    .addOption(flag("--from <ns/workload>", "who calls").makeOptionMandatory())
    .addOption(
      flag("-H, --header <name: value>", "a header of the request; may be repeated").argParser(collect),
    )
    .addOption(flag("--client <address>", "who calls, where --from is a gateway"))
    .addOption(
      flag("--live", "ask the running control plane which workloads there are").default(
        false,
        "as the files say",
      ),
    )
    .addOption(dataOption("with --live: data directory of the control plane"))
    .addOption(flag("--claims <json>", "what the request's token holds, which is taken for verified"))
    .addOption(outputOption())
    .action(async (request: string[], { header = [], ...options }) => {
      const [url, method, ...excess] = request.toReversed();
      if (excess.length > 0) {
        throw new CommandError(
          EXIT.usage,
          "Too many arguments for 'explain'",
          "it takes [METHOD] URL; a header is one argument, in quotes: -H 'x-user: ann'",
        );
      }
      const { runExplain } = await import("./explain_command.ts");
      finish(await runExplain({ ...options, url, method, headers: header }));
    });
}

export function addDiff(program: Command, finish: Finish): void {
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

export function addTest(program: Command, finish: Finish): void {
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
