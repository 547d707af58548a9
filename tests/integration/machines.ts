/**
 * Machines as network namespaces: each has its own addresses, its own ports and its own packet filter, so that
 * connections can be captured as on a host. They hang on one machine, the outside, which forwards between them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SEARCH_PATH } from "../../scripts/debian_packages.ts";
import { afterwards, type Ended } from "./bowline.ts";

/** The user that sidecars run as, and whose connections are not captured: Istio's number. */
export const SIDECAR_UID = 1337;

const machines: Machine[] = [];

export class Machine {
  /** Of the namespace. */
  readonly name: string;
  readonly address: string;

  constructor(name: string, address: string) {
    this.name = `bowline-${process.pid}-${name}`;
    this.address = address;
    command("ip", "netns", "add", this.name);
    machines.push(this);
    this.do("ip", "link", "set", "lo", "up");
  }

  /** The beginning of a command line that runs on this machine, as root. */
  get within(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** The same, as the user of the sidecar. */
  get withinAsSidecar(): readonly string[] {
    const user = [`--reuid=${SIDECAR_UID}`, `--regid=${SIDECAR_UID}`, "--clear-groups"];
    return [...this.within, "setpriv", ...user, "--"];
  }

  /** Runs a command to its end; throws when it fails. */
  do(...words: string[]): void {
    command(...this.within, ...words);
  }

  /** Runs a command to its end with this on its standard input. */
  async run(words: readonly string[], input: string | Uint8Array = ""): Promise<Ended & { bytes: Buffer }> {
    const child = Bun.spawn([...this.within, ...words], {
      stdin: typeof input === "string" ? new TextEncoder().encode(input) : input,
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, PATH: SEARCH_PATH },
    });
    const [code, bytes, stderr] = await Promise.all([
      child.exited,
      new Response(child.stdout).arrayBuffer(),
      new Response(child.stderr).text(),
    ]);
    const output = Buffer.from(bytes);
    return { code, stdout: output.toString(), stderr, bytes: output };
  }
}

/** A machine that forwards, and machines behind it: `10.99.N.2` for the N-th, to which it is `10.99.N.1`. */
export function startMachines(outside: string, ...names: string[]): Machine[] {
  needNamespaces();
  afterwards(removeMachines);
  const middle = new Machine(outside, "10.99.1.1");
  middle.do("sysctl", "-qw", "net.ipv4.ip_forward=1");
  const behind = names.map((name, index) => {
    const subnet = `10.99.${index + 1}`;
    const machine = new Machine(name, `${subnet}.2`);
    const [near, far] = [`to${index + 1}`, "eth0"];
    command(
      ...["ip", "-n", machine.name, "link", "add", far, "type", "veth"],
      ...["peer", "name", near, "netns", middle.name],
    );
    middle.do("ip", "address", "add", `${subnet}.1/24`, "dev", near);
    middle.do("ip", "link", "set", near, "up");
    machine.do("ip", "address", "add", `${subnet}.2/24`, "dev", far);
    machine.do("ip", "link", "set", far, "up");
    machine.do("ip", "route", "add", "default", "via", `${subnet}.1`);
    return machine;
  });
  return [middle, ...behind];
}

/** Captures both ways, by the rules that README.md shows. */
export function capture(machine: Machine): void {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const rules = readme.match(/^iptables -t nat -[AN] .+$/gm) ?? [];
  if (rules.length === 0) throw new Error("README.md shows no rules");
  for (const rule of rules) {
    machine.do(...rule.replace("--uid-owner bowline", `--uid-owner ${SIDECAR_UID}`).split(" "));
  }
}

/** Removes the namespaces, and with them all that was set up in them. What runs in them has ended before. */
function removeMachines(): void {
  for (const { name } of machines.splice(0)) command("ip", "netns", "delete", name);
}

function needNamespaces(): void {
  const missing = ["ip", "iptables", "setpriv", "sysctl"].filter((name) =>
    Bun.which(name, { PATH: SEARCH_PATH }) === null
  );
  if (missing.length > 0 || process.getuid?.() !== 0) {
    const lacking = missing.length > 0 ? `the commands ${missing.join(", ")}` : "the rights of root";
    throw new Error(
      `Capturing connections is tested in network namespaces with iptables, and ${lacking} are missing; as root, run ` +
        "node_modules/bun/bin/bun.exe scripts/debian_packages.ts, which installs what is needed",
    );
  }
}

function command(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words, { env: { ...process.env, PATH: SEARCH_PATH } });
  if (exitCode !== 0) throw new Error(`${words.join(" ")} ended with ${exitCode}: ${stderr.toString()}`);
}
