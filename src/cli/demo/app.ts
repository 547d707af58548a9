/**
 * The programs of the tutorial: small services that know nothing of the mesh but that calls go through a proxy. They
 * pass on the headers that a caller must pass on for tracing, as every service in a mesh does.
 */
import type { HttpHandler } from "../../runtime/http_server.ts";

/** Trace headers and baggage: what belongs to the request as a whole and not to one hop. */
const PASSED_ON = ["x-request-id", "traceparent", "tracestate"];
const BAGGAGE = /^baggage-/;

export interface DemoAppOptions {
  /** Workload's own name. */
  readonly name: string;
  /** What it says of itself; empty: it passes the request on and the answer back, as it is. */
  readonly says: string;
  /** Service to call; null: it answers itself. */
  readonly next: string | null;
  /** The sidecar's outbound address, `http://ADDR:PORT`. */
  readonly proxy: string;
}

/** Fetch, as far as an app needs it; `proxy` is Bun's option. */
export type AppFetch = (url: string, init: RequestInit & { proxy: string }) => Promise<Response>;

export function createDemoApp(options: DemoAppOptions, fetchNext: AppFetch): HttpHandler {
  const { name, says, next, proxy } = options;
  let count = 0;
  return async (request) => {
    // For whoever waits until the program is up; it is no call.
    if (new URL(request.url).pathname === "/healthz") return new Response("ok\n");
    if (next === null) return new Response(`${says} from '${name}': ${++count}\n`);
    const { pathname, search } = new URL(request.url);
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
