/** Rows 22, 23 and the soak of the scorecard, small: changes, restarts and faults under load, and no request fails. */
import { describe, expect } from "bun:test";
import { changes } from "../../scripts/scorecard/rows/changes.ts";
import { restarts } from "../../scripts/scorecard/rows/restarts.ts";
import { soak } from "../../scripts/scorecard/rows/soak.ts";
import { endEverythingAfterwards, scenario } from "./bowline.ts";

endEverythingAfterwards();

describe("the scorecard", () => {
  for (const row of [changes, restarts, soak]) {
    scenario(`row ${row.name}: ${row.what}`, async () => {
      const checks = await row.run("small", { minutes: 0 });
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.length).toBeGreaterThan(0);
    });
  }
});
