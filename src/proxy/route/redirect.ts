/** Where a redirect sends a client: Envoy's rules for scheme, host, port and path. */
import type { RedirectAction, RouteMatch } from "../../model/route.ts";
import type { RequestHead } from "../exchange.ts";
import { replaceMatched, splitPath } from "./path_rewrite.ts";

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: ":80", https: ":443" };

/** The value of `location`. `match` is the block that held, null for a rule without any. */
export function redirectLocation(
  redirect: RedirectAction,
  { scheme: from, authority, path }: RequestHead,
  match: RouteMatch | null,
): string {
  const scheme = redirect.scheme ?? from;
  const port = redirect.port === null ? "" : `:${redirect.port}`;
  const host = redirect.authority ?? hostOf(authority, from, scheme, port);
  const shown = DEFAULT_PORTS[scheme] === port ? "" : port;
  return `${scheme}://${host}${shown}${pathOf(redirect, path, match)}`;
}

/** The host that was asked for; its port goes where another one comes, or where it was the default of another scheme. */
function hostOf(authority: string, from: string, to: string, port: string): string {
  const own = /:[0-9]*$/.exec(
    authority.startsWith("[") ? authority.slice(authority.indexOf("]")) : authority,
  );
  if (own === null) return authority;
  const outlived = from !== to && DEFAULT_PORTS[from] === own[0];
  return port !== "" || outlived ? authority.slice(0, -own[0].length) : authority;
}

function pathOf({ path: replaced }: RedirectAction, path: string, match: RouteMatch | null): string {
  if (replaced === null) return path;
  if (replaced.type === "matched") return replaceMatched(path, match, replaced.value);
  return replaced.value.includes("?") ? replaced.value : replaced.value + splitPath(path).query;
}
