import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { chooseDataDirectory, prepareDataDirectory } from "../../../src/runtime/data_directory.ts";
import { makeTemporaryDirectory, removeDirectory } from "../../../src/runtime/files.ts";

describe("chooseDataDirectory()", () => {
  const user = { stateDirectory: undefined, root: false, stateHome: undefined, home: "/home/ann" };

  test("takes what systemd says before anything else", () => {
    expect(chooseDataDirectory({ ...user, stateDirectory: "/var/lib/bowline/a" })).toBe("/var/lib/bowline/a");
    expect(chooseDataDirectory({ ...user, root: true, stateDirectory: "/a:/b" })).toBe("/a");
  });

  test("is the system's for root", () => {
    expect(chooseDataDirectory({ ...user, root: true, stateHome: "/state" })).toBe("/var/lib/bowline");
  });

  test("is the user's own otherwise", () => {
    expect(chooseDataDirectory({ ...user, stateHome: "/state" })).toBe("/state/bowline");
    expect(chooseDataDirectory(user)).toBe("/home/ann/.local/state/bowline");
    expect(chooseDataDirectory({ ...user, stateHome: "relative" })).toBe("/home/ann/.local/state/bowline");
  });
});

describe("prepareDataDirectory()", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await makeTemporaryDirectory("bowline-data-test");
  });
  afterEach(() => removeDirectory(directory));

  test("makes it for the owner alone", async () => {
    await prepareDataDirectory(join(directory, "data"));
    expect(statSync(join(directory, "data")).mode & 0o777).toBe(0o700);
  });

  test("refuses one that others may write to, and leaves it as it is", async () => {
    chmodSync(directory, 0o777);
    expect(prepareDataDirectory(directory)).rejects.toMatchObject({
      code: "permission-denied",
      path: directory,
    });
    expect(statSync(directory).mode & 0o777).toBe(0o777);
    chmodSync(directory, 0o755);
    await prepareDataDirectory(directory);
  });

  test("says why it cannot be made", () => {
    expect(prepareDataDirectory("/proc/bowline")).rejects.toThrow(
      /^Cannot create the directory \/proc\/bowline: .*; with --data choose one that this user may write to$/,
    );
  });
});
