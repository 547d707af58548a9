/** HTTP requests to servers that the operator named: no redirect is followed, and no more is read than is wanted. */
import { BoundedBytes } from "../lib/bounded_bytes.ts";

/** An answer whose body is longer is an error, as is one that sends elsewhere. */
export async function boundedFetch(url: string, init: RequestInit, bytesMax: number): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: "error" });
  const body = new BoundedBytes(bytesMax);
  for await (const piece of response.body ?? []) {
    if (!body.add(piece)) throw new Error(`The answer is longer than ${bytesMax} bytes`);
  }
  return new Response(body.joined(), { status: response.status, headers: response.headers });
}
