/** The trust bundle, from whoever answers: what it says is taken only where it says that all is well. */
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "../../../src/lib/clock.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { fetchTrustBundle } from "../../../src/sidecar/trust_bundle_fetch.ts";
import { TestAuthority } from "../identity/odd_certificates.ts";

const HERE = "127.0.0.1";
const BYTES_MAX = 8;
const { chain: cert, key } = await (await TestAuthority.make()).issue({});
let answer = { status: 200, text: "" };
const server = Bun.serve({
  ...{ port: 0, hostname: HERE, tls: { cert, key } },
  fetch: ({ url }) =>
    new URL(url).pathname === "/v1/trust-bundle"
      ? new Response(answer.text, { status: answer.status })
      : new Response("another path", { status: 404 }),
});

afterAll(() => server.stop(true));

async function fetched(status: number, text: string): Promise<string> {
  answer = { status, text };
  return await fetchTrustBundle({
    ...{ controlPlane: `${HERE}:${server.port}`, bytesMax: BYTES_MAX },
    ...{ clock: systemClock, wheel: new TimerWheel(systemClock) },
  });
}

test("fetchTrustBundle() has the body of an answer with 200, up to so many bytes", async () => {
  const most = "r".repeat(BYTES_MAX);
  expect(await fetched(200, most)).toBe(most);
  await expect(fetched(200, `${most}r`)).rejects.toThrow(`its answer is longer than ${BYTES_MAX} bytes`);
});

test.each([204, 302, 404, 503])("fetchTrustBundle() takes no answer with %i", async (status) => {
  await expect(fetched(status, "")).rejects.toThrow(`it answered ${status}`);
});
