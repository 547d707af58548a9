/** `bowline certs`, `cert` and `ca` with their flags; what they do stands in modules that are loaded when they run. */
import type { Command } from "commander";
import { dataOption, type Finish, flag, outputOption } from "./flags.ts";
import type { OutputFormat } from "./output.ts";

export function addCerts(program: Command, finish: Finish): void {
  program.command("certs")
    .description("show every certificate of the mesh and when it expires")
    .addHelpText("before", "Examples:\n  bowline certs\n  bowline certs -o json\n")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (options) => {
      const { runCerts } = await import("./certs_command.ts");
      finish(await runCerts(options));
    });
}

export function addCert(program: Command, finish: Finish): void {
  program.command("cert")
    .description("single certificates")
    .command("revoke")
    .description("have every proxy refuse a certificate, or all of an identity, from now on")
    .addHelpText(
      "before",
      "Examples:\n" +
        "  bowline cert revoke 4f8a0c5be1d24c0f9d0a4b1c2e3f4a5b\n" +
        "  bowline cert revoke spiffe://cluster.local/ns/shop/sa/cart\n",
    )
    .argument("<serial|spiffe-id>", "as bowline certs shows it")
    .addOption(dataOption("data directory of the running control plane"))
    .addOption(outputOption())
    .action(async (target: string, options: { output: OutputFormat; data?: string }) => {
      const { runCertRevoke } = await import("./cert_revoke_command.ts");
      finish(await runCertRevoke(target, options));
    });
}

export function addCa(program: Command, finish: Finish): void {
  const rotate = program.command("ca").description("the mesh's own certificate authority")
    .command("rotate").description("give the mesh a new root, without a failed call");
  const steps = [
    ["start", "have every proxy trust a new root, which signs as soon as all do"],
    ["status", "show who trusts which root, and who has yet to renew"],
    ["finish", "drop the old root, when nobody needs it any more"],
    ["abort", "go back to the old root"],
  ] as const;
  for (const [step, description] of steps) {
    const command = rotate.command(step).description(description)
      .addHelpText("before", `Examples:\n  bowline ca rotate ${step}\n`);
    if (step === "finish") {
      command.addOption(
        flag("--force", "the old root's key is in other hands: cut off who has a certificate of it"),
      );
    }
    command.addOption(dataOption("data directory of the running control plane"))
      .addOption(outputOption())
      .action(async (options) => {
        const { runCaRotate } = await import("./ca_rotate_command.ts");
        finish(await runCaRotate(step, options));
      });
  }
}
