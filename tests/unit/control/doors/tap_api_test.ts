/** What somebody who wants to watch hears first. */
import { describe, expect, test } from "bun:test";
import { createTapApi } from "../../../../src/control/doors/tap_api.ts";
import { TapHub } from "../../../../src/control/tap_hub.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import type { WorkloadKey } from "../../../../src/model/workload.ts";

/** The status, and the first line or the refusal. */
async function watch(workload: string | null, connected: readonly WorkloadKey[] = ["shop/api"]) {
  const app = createTapApi({
    hub: new TapHub({ clock: new ManualClock(), ask() {} }),
    known: () => new Set<WorkloadKey>(["shop/api", "shop/web"]),
    isConnected: (asked) => asked === null ? connected.length > 0 : connected.includes(asked),
  });
  const response = await app.request(workload === null ? "/v1/tap" : `/v1/tap?workload=${workload}`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  const told = JSON.parse(new TextDecoder().decode(value));
  return [response.status, told.error?.message ?? told];
}

describe("createTapApi()", () => {
  test.each<[string | null, readonly WorkloadKey[], boolean]>([
    ["shop/api", ["shop/api"], true],
    ["shop/web", ["shop/api"], false],
    ["shop/new", ["shop/new"], true],
    [null, ["shop/api"], true],
    [null, [], false],
  ])(
    "createTapApi() says of %j whether anybody is there, with %j connected",
    async (workload, connected, is) => {
      expect(await watch(workload, connected)).toEqual([200, { watching: true, connected: is }]);
    },
  );

  test("createTapApi() refuses a workload that nobody knows, and names one that was meant", async () => {
    expect(await watch("shop/wbe")).toEqual([400, "No workload is shop/wbe; did you mean shop/web?"]);
    const where = "bowline proxy-status lists those that are connected";
    expect(await watch("far/away")).toEqual([400, `No workload is far/away; ${where}`]);
    expect(await watch("Web")).toEqual([400, 'A workload is NAMESPACE/NAME in lower case, not "Web"']);
  });
});
