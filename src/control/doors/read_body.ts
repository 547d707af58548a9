/** Bodies of requests, up to a limit, as JSON. */
import { BoundedBytes } from "../../lib/bounded_bytes.ts";

/** The body was too large or no JSON; the message is fit for the caller. */
export class BodyError extends Error {
  override readonly name = "BodyError";

  constructor(readonly status: 400 | 413, message: string) {
    super(message);
  }
}

/** Throws BodyError. */
export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  const body = new BoundedBytes(bytesMax);
  if (request.body !== null) {
    for await (const piece of request.body) {
      if (!body.add(piece)) throw new BodyError(413, `The body is longer than ${bytesMax} bytes`);
    }
  }
  try {
    return JSON.parse(body.text());
  } catch {
    throw new BodyError(400, "The body is not JSON");
  }
}
