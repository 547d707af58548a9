/** `bowline demo` and its flags, and the programs that it starts. What they do is loaded when they run. */
import type { Command } from "commander";
import { chapterList, DEFAULT_CHAPTER } from "./demo/chapters.ts";
import { collect, type Finish, flag, outputOption, wholeNumber } from "./flags.ts";

/** Requests that `demo --requests` sends at most. */
const DEMO_REQUESTS_MAX = 1_000_000;

export function addDemo(program: Command, finish: Finish): void {
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
export function addDemoApp(program: Command, finish: Finish): void {
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
