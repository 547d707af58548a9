/** A GET over TLS that believes nobody: only for content that proves itself by a hash. */

const TIMEOUT_MS = 10_000;

/** The body, when the answer is 200 and no longer than `charactersMax`. Throws Error with the reason. */
export async function fetchUnverified(url: string, charactersMax: number): Promise<string> {
  const response = await fetch(url, {
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    tls: { rejectUnauthorized: false },
  } as RequestInit);
  if (response.status !== 200 || response.body === null) throw new Error(`it answered ${response.status}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > charactersMax) throw new Error(`its answer is longer than ${charactersMax} characters`);
  }
  return text + decoder.decode();
}
