/**
 * The programs of the tutorial: small services that know nothing of the mesh but that calls go through a proxy. They
 * pass on the headers that a caller must pass on for tracing, as every service in a mesh does.
 */
import type { Clock } from "../../lib/clock.ts";
import type { HttpHandler } from "../../runtime/http_server.ts";

/** Trace headers and baggage: what belongs to the request as a whole and not to one hop. */
const PASSED_ON = ["x-request-id", "traceparent", "tracestate"];
const BAGGAGE = /^baggage-/;

/** For whoever waits until the program is up; it is no call. */
const HEALTH = "/healthz";

/** How long a program that is told to be slow takes for an answer. */
export const SLOW_MS = 3_000;

/** How a program at the end of a call answers; the path that tells it to -> what it says to that. */
const MANNERS: Readonly<Record<string, string>> = {
  "/behave": "answers at once and well",
  "/misbehave": "answers 503",
  "/slow": `takes ${SLOW_MS / 1000} s for each answer`,
};

export interface DemoAppOptions {
  /** Workload's own name. */
  readonly name: string;
  /** What it says of itself; empty: it passes the request on and the answer back, as it is. */
  readonly says: string;
  /** Service to call; null: it answers itself. */
  readonly next: string | null;
  /** The sidecar's outbound address, `http://ADDR:PORT`; undefined for a program that calls nobody. */
  readonly proxy?: string;
}

/** Fetch, as far as an app needs it; `proxy` is Bun's option. */
export type AppFetch = (url: string, init: RequestInit & { proxy?: string }) => Promise<Response>;

export function createDemoApp(options: DemoAppOptions, fetchNext: AppFetch, clock: Clock): HttpHandler {
  const { name, says, next, proxy } = options;
  if (next === null) return createLastApp(name, says, clock);
  return async (request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname === HEALTH) return new Response("ok\n");
    const transparent = says === "";
    try {
      const answer = await fetchNext(`http://${next}:8080${pathname}${search}`, {
        method: transparent ? request.method : "GET",
        headers: transparent ? endToEnd(request.headers) : passedOn(request.headers),
        body: transparent ? request.body : null,
        proxy,
      });
      const text = await answer.text();
      const { status } = answer;
      if (transparent) return new Response(text, { status });
      return new Response(status === 200 ? `${says} => ${text}` : `${says} => ${status} ${text.trim()}\n`, {
        status,
      });
    } catch (error) {
      return new Response(`${says || name} => cannot call ${next}: ${error}\n`, { status: 503 });
    }
  };
}

/** The end of a call: it counts its answers, and can be told to do badly, so that there is something to see. */
function createLastApp(name: string, says: string, clock: Clock): HttpHandler {
  let count = 0;
  let manner = "/behave";
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === HEALTH) return new Response("ok\n");
    const promise = MANNERS[pathname];
    if (promise !== undefined) {
      manner = pathname;
      return new Response(`'${name}' ${promise} from now on\n`);
    }
    const number = ++count;
    if (manner === "/misbehave") {
      return new Response(`${says} misbehaves in '${name}': ${number}\n`, { status: 503 });
    }
    if (manner === "/slow") await new Promise<void>((resolve) => clock.after(SLOW_MS, resolve));
    return new Response(`${says} from '${name}': ${number}\n`);
  };
}

/** Everything but what belongs to the connection. */
function endToEnd(headers: Headers): Headers {
  const copy = new Headers(headers);
  for (const name of ["host", "connection", "content-length", "transfer-encoding", "keep-alive"]) {
    copy.delete(name);
  }
  return copy;
}

/** As in the tutorial, the caller's user agent travels along as baggage, so that rules further down can see it. */
function passedOn(headers: Headers): Headers {
  const kept = new Headers();
  headers.forEach((value, name) => {
    if (PASSED_ON.includes(name) || BAGGAGE.test(name)) kept.set(name, value);
  });
  const userAgent = headers.get("user-agent");
  if (userAgent !== null && !kept.has("baggage-user-agent")) kept.set("baggage-user-agent", userAgent);
  return kept;
}
