import { afterAll, expect, test } from "bun:test";
import { OwnCertificateKeeper } from "../../../src/control/own_certificate.ts";
import { DUE_LOOK_MS } from "../../../src/lib/due_timer.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { openCitadel, removeDirectories } from "../citadel/test_citadel.ts";

afterAll(removeDirectories);

const DAY_MS = 24 * 3_600_000;

test("OwnCertificateKeeper has a certificate that is valid again, soon after a clock that was ahead is set right", async () => {
  const { citadel, clock } = await openCitadel();
  const log = createLog({ clock, format: "json", write: () => {} });
  const keeper = await OwnCertificateKeeper.start({ citadel, clock, random: new Prng(1), log });
  /** Lets it look, and waits until it has another certificate. */
  const renewed = async () => {
    const before = keeper.current;
    clock.advance(DUE_LOOK_MS);
    while (keeper.current === before) await Bun.sleep(1);
  };
  clock.setAhead(9 * DAY_MS);
  await renewed();
  clock.setAhead(-9 * DAY_MS);
  expect(keeper.current.notBeforeMs).toBeGreaterThan(clock.now());
  await renewed();
  expect(keeper.current.notBeforeMs).toBeLessThan(clock.now());
  keeper.stop();
});
