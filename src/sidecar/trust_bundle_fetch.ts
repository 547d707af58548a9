/**
 * Fetches the trust bundle over TLS that believes nobody: the joiner has nothing yet to believe by. The content proves
 * itself, by the hash in the token; until then nothing else is said to whoever answers.
 */
import type { Clock } from "../lib/clock.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { singleCall } from "./single_call.ts";

const TIMEOUT_MS = 10_000;

export interface TrustBundleFetchOptions {
  /** `HOST:PORT` of the control plane. */
  readonly controlPlane: string;
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
}

/** The body of `GET /v1/trust-bundle`. Rejects with an Error that says why in a clause. */
export async function fetchTrustBundle(options: TrustBundleFetchOptions): Promise<string> {
  const { controlPlane: authority, bytesMax, clock, wheel } = options;
  const colon = authority.lastIndexOf(":");
  const hostname = authority.slice(0, colon).replace(/^\[|\]$/g, "");
  const { status, body } = await singleCall({
    address: { hostname, port: Number(authority.slice(colon + 1)) },
    tls: true,
    protocol: "http1",
    head: {
      method: "GET",
      scheme: "https",
      authority,
      path: "/v1/trust-bundle",
      headers: [],
      bodyLength: 0,
    },
    until: "end",
    bytesMax,
    timeoutMs: TIMEOUT_MS,
    clock,
    wheel,
  });
  if (status !== 200) throw new Error(`it answered ${status}`);
  return new TextDecoder().decode(body);
}
