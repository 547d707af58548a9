/** `bowline token` and its flags; what it does stands in token_command.ts, loaded when it runs. */
import type { Command } from "commander";
import { collectEach, dataOption, type Finish, flag, outputOption } from "./flags.ts";

export function addToken(program: Command, finish: Finish): void {
  const token = program.command("token").description("join tokens");
  token.command("create")
    .description("make a one-time join token for a workload, or for a new member of a WorkloadGroup")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline token create --workload tutorial/customer > token.jwt\n" +
        "  bowline token create --workload shop/cart --ttl 1h --source 10.0.7.0/24\n" +
        "  bowline token create --group shop/search > token.jwt\n",
    )
    .addHelpText(
      "after",
      "\nThe token is a secret, and standard output gets nothing else. To keep it to yourself:\n" +
        "  (umask 077; bowline token create --workload shop/cart > token.jwt)",
    )
    .addOption(flag("--workload <ns/name>", "who may join with it"))
    .addOption(flag("--group <ns/name>", "instead: one more member of this WorkloadGroup may join with it"))
    .addOption(flag("--ttl <duration>", "how long it is good for, 1s to 24h").default("15m"))
    .addOption(
      flag("--source <cidr>", "network from which it may be used; may be repeated").argParser(collectEach),
    )
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (options) => {
      const { runTokenCreate } = await import("./token_command.ts");
      finish(await runTokenCreate(options));
    });
  token.command("list")
    .description("show the join tokens that nobody has used yet")
    .addHelpText("before", "Examples:\n  bowline token list\n  bowline token list -o json\n")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (options) => {
      const { runTokenList } = await import("./token_command.ts");
      finish(await runTokenList(options));
    });
  token.command("revoke")
    .description("make an unused join token worthless")
    .addHelpText("before", "Examples:\n  bowline token revoke 4f8a0c5be1d2\n")
    .argument("<id>", "as bowline token list shows it")
    .addOption(dataOption("data directory of the running control plane"))
    .action(async (id: string, options) => {
      const { runTokenRevoke } = await import("./token_command.ts");
      finish(await runTokenRevoke(id, options));
    });
}
