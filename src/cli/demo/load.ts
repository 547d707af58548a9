/** Sends the demo's requests and counts who answered. */

/** Requests in flight at once. */
const CONCURRENCY = 16;

/** An answer takes milliseconds; one that takes this long counts as an error. */
const TIMEOUT_MS = 10_000;

/** `customer => preference => recommendation v1 from 'recommendation-v1': 7`. */
const ANSWER = /^customer => preference => recommendation v\d+ from '([a-z0-9.-]+)': \d+\n?$/;

export interface LoadResult {
  readonly requests: number;
  readonly ok: number;
  readonly errors: number;
  /** Workload at the end of the call -> answers. */
  readonly byDestination: Readonly<Record<string, number>>;
}

export interface LoadOptions {
  readonly url: string;
  readonly requests: number;
  /** Name and value. */
  readonly headers: readonly (readonly [string, string])[];
  /** Counted from 0 even when nobody answers. */
  readonly destinations: readonly string[];
}

export async function sendLoad(options: LoadOptions): Promise<LoadResult> {
  const byDestination = Object.fromEntries(options.destinations.map((name) => [name, 0]));
  let started = 0;
  let ok = 0;
  const worker = async () => {
    while (started < options.requests) {
      started++;
      const destination = await callOnce(options);
      if (destination === null) continue;
      ok++;
      byDestination[destination] = (byDestination[destination] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, options.requests) }, worker));
  return { requests: options.requests, ok, errors: options.requests - ok, byDestination };
}

/** The workload that answered; null for anything but the tutorial's answer. */
async function callOnce({ url, headers }: LoadOptions): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, {
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      signal,
    });
    const text = await response.text();
    return response.status === 200 ? ANSWER.exec(text)?.[1] ?? null : null;
  } catch {
    return null;
  }
}
