import { describe, expect, test } from "bun:test";
import { createDemoApp, SLOW_MS } from "../../../../src/cli/demo/app.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";

function lastApp() {
  const clock = new ManualClock();
  const options = { name: "recommendation-v2", says: "recommendation v2", next: null };
  const app = createDemoApp(options, () => Promise.reject(new Error("it calls nobody")), clock);
  const ask = async (path: string) => await app(new Request(`http://127.0.0.22:8080${path}`));
  return { clock, ask };
}

async function read(response: Response): Promise<[number, string]> {
  return [response.status, await response.text()];
}

describe("createDemoApp(), at the end of a call", () => {
  test("counts its answers, and neither health checks nor what it is told", async () => {
    const { ask } = lastApp();
    expect(await read(await ask("/"))).toEqual([200, "recommendation v2 from 'recommendation-v2': 1\n"]);
    await ask("/healthz");
    await ask("/behave");
    expect(await read(await ask("/"))).toEqual([200, "recommendation v2 from 'recommendation-v2': 2\n"]);
  });

  test("answers 503 from /misbehave to /behave", async () => {
    const { ask } = lastApp();
    expect(await read(await ask("/misbehave"))).toEqual([
      200,
      "'recommendation-v2' answers 503 from now on\n",
    ]);
    expect(await read(await ask("/"))).toEqual([
      503,
      "recommendation v2 misbehaves in 'recommendation-v2': 1\n",
    ]);
    await ask("/behave");
    expect((await ask("/")).status).toBe(200);
  });

  test("takes its time from /slow to /behave", async () => {
    const { ask, clock } = lastApp();
    await ask("/slow");
    let answered = false;
    const slow = ask("/").then((response) => {
      answered = true;
      return response;
    });
    clock.advance(SLOW_MS - 1);
    await Bun.sleep(0);
    expect(answered).toBeFalse();
    clock.advance(1);
    expect((await slow).status).toBe(200);
    await ask("/behave");
    expect((await ask("/")).status).toBe(200);
  });
});
