/** Rows 9, 13, 14, 16, 17 and 21 of the scorecard, small: peers that are slow, fail, close at the wrong moment, or are too many. */
import { describe, expect } from "bun:test";
import { closingUpstream } from "../../scripts/scorecard/rows/closing_upstream.ts";
import { noDescriptors } from "../../scripts/scorecard/rows/descriptors.ts";
import { retryStorm } from "../../scripts/scorecard/rows/retry_storm.ts";
import { slowPeers } from "../../scripts/scorecard/rows/slow_peers.ts";
import { tcp } from "../../scripts/scorecard/rows/tcp.ts";
import { webSockets } from "../../scripts/scorecard/rows/web_socket.ts";
import { endEverythingAfterwards, scenario } from "./bowline.ts";

endEverythingAfterwards();

describe("the scorecard", () => {
  for (const row of [slowPeers, closingUpstream, retryStorm, webSockets, tcp, noDescriptors]) {
    scenario(`row ${row.name}: ${row.what}`, async () => {
      const checks = await row.run("small", { minutes: 0 });
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.length).toBeGreaterThan(0);
    });
  }
});
