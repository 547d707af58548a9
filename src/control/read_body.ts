/** Bodies of requests, up to a limit, as JSON. */

/** The body was too large or no JSON; the message is fit for the caller. */
export class BodyError extends Error {
  override readonly name = "BodyError";

  constructor(readonly status: 400 | 413, message: string) {
    super(message);
  }
}

/** Throws BodyError. */
export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  if (request.body !== null) {
    for await (const piece of request.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > bytesMax) throw new BodyError(413, `The body is longer than ${bytesMax} bytes`);
      pieces.push(piece);
    }
  }
  const decoder = new TextDecoder();
  const text = pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  try {
    return JSON.parse(text);
  } catch {
    throw new BodyError(400, "The body is not JSON");
  }
}
