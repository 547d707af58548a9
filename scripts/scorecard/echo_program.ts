/** The store's own program, as a process that can be killed: it sends back what it gets. */
import { join } from "node:path";
import { type Stand, STORE_PORTS } from "./stand.ts";

const PROGRAM = join(import.meta.dirname, "../../tests/integration/echo_program.ts");

export class EchoProgram {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  private constructor(address: string) {
    const ports = [STORE_PORTS["tcp-db"], STORE_PORTS.ws].map(String);
    this.#child = Bun.spawn([process.execPath, PROGRAM, address, ...ports], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
  }

  static async start(stand: Stand): Promise<EchoProgram> {
    const program = new EchoProgram(stand.storeAddress());
    let said = "";
    for await (const chunk of program.#child.stdout) {
      said += new TextDecoder().decode(chunk);
      // At both ports.
      if (said.split("\n").length === 3) break;
    }
    return program;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
