/** The load generators: wrk for HTTP/1.1, h2load for HTTP/2; both send the next request when the last is answered. */
import type { Target } from "./pair.ts";
import { program } from "./processes.ts";

/** Runs wrk; returns how many requests were answered. Throws when any of them failed. */
export async function wrk(
  target: Target,
  path: string,
  connections: number,
  seconds: number,
): Promise<number> {
  const text = await run([
    ...[program("wrk"), "-t", "1", "-c", String(connections), "-d", `${seconds}s`],
    ...["-H", `Host: ${target.authority}`, url(target, path)],
  ]);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  if (requests === 0 || /Non-2xx|Socket errors/.test(text)) throw failed("wrk", target, text);
  return requests;
}

/** Runs h2load; returns how many requests were answered. Throws when any of them failed. */
export async function h2load(target: Target, path: string, options: readonly string[]): Promise<number> {
  const text = await run([
    ...[program("h2load"), "-t", "1", ...options],
    url(target, path),
  ]);
  const [, done, succeeded, bad] = /(\d+) done, (\d+) succeeded, (\d+) failed/.exec(text)?.map(Number) ?? [];
  if (!done || done !== succeeded || bad !== 0) throw failed("h2load", target, text);
  return succeeded;
}

function url({ address, port }: Target, path: string): string {
  return `http://${address}:${port}${path}`;
}

async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${child.exitCode}: ${stderr}`);
  return stdout;
}

function failed(generator: string, target: Target, text: string): Error {
  return new Error(`${generator} found a request that was not answered, at ${url(target, "/")}:\n${text}`);
}
