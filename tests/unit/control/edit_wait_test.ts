import { describe, expect, test } from "bun:test";
import { EDIT_WAIT_MAX_MS, EditWait } from "../../../src/control/edit_wait.ts";
import {
  type OpenEnd,
  OTHER_HALF_WAIT_MS,
  QUIET_MS,
  WRITER_WAIT_MS,
} from "../../../src/control/open_ends.ts";

const called = (key: string): OpenEnd => ({ key, quietMs: null, says: "" });
const other = (key: string): OpenEnd => ({ key, quietMs: QUIET_MS, says: "" });

describe("EditWait", () => {
  test("EditWait lets an edit pass that is open for nothing", () => {
    expect(new EditWait().leftMs([], 0)).toBe(0);
  });

  test("EditWait counts from when a thing was first waited for, whatever is edited meanwhile", () => {
    const wait = new EditWait();
    expect(wait.leftMs([called("a")], 0)).toBe(OTHER_HALF_WAIT_MS);
    expect(wait.leftMs([called("a")], 3_000)).toBe(OTHER_HALF_WAIT_MS - 3_000);
    expect(wait.leftMs([called("a")], OTHER_HALF_WAIT_MS)).toBe(0);
  });

  test("EditWait gives each thing its own time", () => {
    const wait = new EditWait();
    wait.leftMs([called("a")], 0);
    expect(wait.leftMs([called("a"), called("b")], 3_000)).toBe(OTHER_HALF_WAIT_MS);
    expect(wait.leftMs([called("b")], 4_000)).toBe(OTHER_HALF_WAIT_MS - 1_000);
  });

  test("EditWait has more patience where it is asked for", () => {
    const wait = new EditWait();
    const written = { ...called("a"), waitMaxMs: WRITER_WAIT_MS };
    expect(wait.leftMs([written, called("b")], 0)).toBe(WRITER_WAIT_MS);
    expect(wait.leftMs([written], OTHER_HALF_WAIT_MS)).toBe(WRITER_WAIT_MS - OTHER_HALF_WAIT_MS);
  });

  test("EditWait begins anew with each edit where quiet is enough, up to the time of anything else", () => {
    const wait = new EditWait();
    expect(wait.leftMs([other("a")], 0)).toBe(QUIET_MS);
    expect(wait.leftMs([other("a")], 900)).toBe(QUIET_MS);
    expect(wait.leftMs([other("a")], OTHER_HALF_WAIT_MS - 1)).toBe(1);
  });

  test("EditWait ends, however much comes", () => {
    const wait = new EditWait();
    for (let ms = 0; ms < EDIT_WAIT_MAX_MS; ms += 1_000) {
      expect(wait.leftMs([called(`${ms}`)], ms)).toBeGreaterThan(0);
    }
    expect(wait.leftMs([called("last")], EDIT_WAIT_MAX_MS - 1)).toBe(1);
    expect(wait.leftMs([called("later")], EDIT_WAIT_MAX_MS)).toBe(0);
  });

  test("EditWait forgets when nothing waits any more", () => {
    const wait = new EditWait();
    wait.leftMs([called("a")], 0);
    expect(wait.has(called("a"))).toBe(true);
    wait.end();
    expect(wait.has(called("a"))).toBe(false);
    expect(wait.leftMs([called("a")], EDIT_WAIT_MAX_MS)).toBe(OTHER_HALF_WAIT_MS);
  });
});
