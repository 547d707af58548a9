/** Rows of the scorecard, small. They are run one after the other, since all have the same addresses. */
import { describe, expect } from "bun:test";
import { changes } from "../../scripts/scorecard/rows/changes.ts";
import { closingUpstream } from "../../scripts/scorecard/rows/closing_upstream.ts";
import { controlPlaneKills } from "../../scripts/scorecard/rows/control_plane_kills.ts";
import { noDescriptors } from "../../scripts/scorecard/rows/descriptors.ts";
import { kills } from "../../scripts/scorecard/rows/kills.ts";
import { restarts } from "../../scripts/scorecard/rows/restarts.ts";
import { retryStorm } from "../../scripts/scorecard/rows/retry_storm.ts";
import { rootRollover } from "../../scripts/scorecard/rows/root_rollover.ts";
import { slowPeers } from "../../scripts/scorecard/rows/slow_peers.ts";
import { soak } from "../../scripts/scorecard/rows/soak.ts";
import { tcp } from "../../scripts/scorecard/rows/tcp.ts";
import { webSockets } from "../../scripts/scorecard/rows/web_socket.ts";
import { endEverythingAfterwards, scenario } from "./bowline.ts";

/** Peers that are slow, fail, close at the wrong moment, or are too many. */
const PEERS = [slowPeers, closingUpstream, retryStorm, webSockets, tcp, noDescriptors];
/** Changes, restarts, kills, a new root and faults under load, and no request fails. */
const FAULTS = [controlPlaneKills, changes, restarts, rootRollover, kills, soak];

endEverythingAfterwards();

describe("the scorecard", () => {
  for (const row of [...PEERS, ...FAULTS]) {
    scenario(`row ${row.name}: ${row.what}`, async () => {
      const checks = await row.run("small", { minutes: 0 });
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.length).toBeGreaterThan(0);
    });
  }
});
