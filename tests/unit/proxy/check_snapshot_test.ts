import { expect, test } from "bun:test";
import { NO_CONDITIONS } from "../../../src/model/route.ts";
import { checkSnapshot } from "../../../src/proxy/check_snapshot.ts";
import { cluster, endpoint, settings, shopSnapshot, snapshotOf, virtualHost } from "./data_plane.ts";

test("checkSnapshot() takes what compiles, and says what does not", () => {
  checkSnapshot(shopSnapshot(endpoint(1), endpoint(2, true)));
  expect(() => checkSnapshot(snapshotOf(cluster()))).toThrow("The snapshot has no proxy settings");
  const match = { ...NO_CONDITIONS, path: { type: "regex", value: "(" } } as const;
  const route = {
    name: null,
    origin: null,
    matches: [match],
    action: { type: "forward", destinations: [] },
  } as const;
  expect(() => checkSnapshot(snapshotOf(settings(), virtualHost({ routes: [route] })))).toThrow(
    "missing closing )",
  );
});
