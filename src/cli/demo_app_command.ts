/** `bowline demo-app`: one program of the tutorial; started by `bowline demo`, not meant for people. */
import { systemClock } from "../lib/clock.ts";
import { serveHttp } from "../runtime/http_server.ts";
import { onTerminate } from "../runtime/signals.ts";
import { createDemoApp } from "./demo/app.ts";
import { DEMO_APP_PORT } from "./demo/topology.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";

export interface DemoAppCommandOptions {
  readonly name: string;
  readonly says: string;
  readonly next?: string;
  readonly bind: string;
  readonly proxy?: string;
}

export async function runDemoApp(
  { name, says, next = undefined, bind, proxy }: DemoAppCommandOptions,
): Promise<ExitCode> {
  const app = { name, says, next: next ?? null, proxy };
  const handler = createDemoApp(app, (url, init) => fetch(url, init), systemClock);
  const server = await serveHttp({ hostname: bind, port: DEMO_APP_PORT }, handler);
  await new Promise<void>((resolve) => onTerminate(() => resolve()));
  await server.stop();
  return EXIT.ok;
}
