/** HTTP requests to servers that the operator named: no redirect is followed, and no more is read than is wanted. */

/** An answer whose body is longer is an error, as is one that sends elsewhere. */
export async function boundedFetch(url: string, init: RequestInit, bytesMax: number): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: "error" });
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error(`The answer is longer than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return new Response(new Blob(pieces as BlobPart[]), { status: response.status, headers: response.headers });
}
