import { expect, test } from "bun:test";
import {
  AUTHORITY_WARNING_SHARE,
  certificateState,
  LEAF_WARNING_SHARE,
} from "../../../src/citadel/certificate_state.ts";

test("certificateState() warns in the second half of the renewal margin, and of a CA in its last tenth", () => {
  const life = { startMs: 1_000, notAfterMs: 2_000 };
  const at = (share: number, nowMs: number) => certificateState(life, share, nowMs);
  expect(at(LEAF_WARNING_SHARE, 1_749)).toBe("valid");
  expect(at(LEAF_WARNING_SHARE, 1_750)).toBe("expiring");
  expect(at(AUTHORITY_WARNING_SHARE, 1_899)).toBe("valid");
  expect(at(AUTHORITY_WARNING_SHARE, 1_900)).toBe("expiring");
  expect(at(LEAF_WARNING_SHARE, 1_999)).toBe("expiring");
  expect(at(LEAF_WARNING_SHARE, 2_000)).toBe("expired");
});
