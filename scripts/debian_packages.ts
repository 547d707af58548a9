/**
 * The Debian programs that tests use as peers and clients. Run as a script, it installs what is missing; where it cannot,
 * it says what to install and ends with 69.
 */

/** Command -> package that has it. */
const DEBIAN_PROGRAMS: Readonly<Record<string, string>> = {
  curl: "curl",
  faketime: "faketime",
  h2load: "nghttp2-client",
  haproxy: "haproxy",
  ip: "iproute2",
  iptables: "iptables",
  nghttp: "nghttp2-client",
  nginx: "nginx-light",
  node: "nodejs",
  openssl: "openssl",
  prlimit: "util-linux",
  "redis-cli": "redis-tools",
  "redis-server": "redis-server",
  setpriv: "util-linux",
  "systemd-analyze": "systemd",
};

/** Servers live in sbin, which is not on everybody's path. */
export const SEARCH_PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`;

export function missingPackages(has: (command: string) => boolean): string[] {
  const missing = Object.entries(DEBIAN_PROGRAMS).filter(([command]) => !has(command)).map(([, name]) =>
    name
  );
  return [...new Set(missing)].sort();
}

function missing(): string[] {
  return missingPackages((command) => Bun.which(command, { PATH: SEARCH_PATH }) !== null);
}

function apt(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  Bun.spawnSync(["apt-get", "-q", ...args], { env, stdout: "inherit", stderr: "inherit" });
}

if (import.meta.main) {
  const packages = missing();
  if (packages.length > 0 && process.getuid?.() === 0 && Bun.which("apt-get") !== null) {
    console.error(`Installing ${packages.join(", ")}`);
    apt("update");
    apt("install", "-y", "--no-install-recommends", ...packages);
  }
  const still = missing();
  if (still.length > 0) {
    console.error(`The tests need programs of Debian that are not here: apt-get install ${still.join(" ")}`);
    process.exit(69);
  }
}
