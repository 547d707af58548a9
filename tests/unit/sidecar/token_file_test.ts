/** The file of a join token that cannot be read, or that everybody can. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "../../../src/lib/clock.ts";
import { FileError } from "../../../src/runtime/files.ts";
import { readTokenFile, unreadableToken, warnOfOpenTokenFile } from "../../../src/sidecar/token_file.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { CART, freshDirectory, openCitadel, removeDirectories } from "../citadel/test_citadel.ts";

afterAll(removeDirectories);

test("readTokenFile() has the token without the end of its line, and what it says", async () => {
  const { citadel } = await openCitadel();
  const { token } = await citadel.createToken(CART);
  const path = join(freshDirectory(), "token");
  writeFileSync(path, `${token}\n`);
  expect(await readTokenFile(path)).toMatchObject({ text: token, claims: { workload: CART.workload } });
});

describe("unreadableToken()", () => {
  test("unreadableToken() tells what to do where the path leads to nothing, or to a directory", async () => {
    const directory = freshDirectory();
    const told = async (path: string) => await readTokenFile(path).then(() => "", unreadableToken);
    expect(await told(join(directory, "no"))).toBe(
      `Cannot read ${directory}/no: there is no such file or directory; \`bowline token create --workload NS/NAME\` ` +
        "where the control plane runs makes a token, to be written there",
    );
    expect(await told(directory)).toBe(
      `Cannot read ${directory}: it is a directory; --token-file takes the file of the token itself`,
    );
  });

  test("unreadableToken() asks for no new token where one is closed to the user", () => {
    const error = FileError.of("read", "/t", Object.assign(new Error(), { code: "EACCES" }));
    expect(unreadableToken(error)).toBe(
      "Cannot read /t: permission denied; the file must belong to the user that runs the sidecar, or be readable by it",
    );
  });

  test("unreadableToken() says what the system said of anything else", () => {
    expect(unreadableToken(FileError.of("read", "/t", new Error("EIO")))).toBe("Cannot read /t: EIO");
  });
});

test.each([[0o600, 0], [0o640, 0], [0o644, 1], [0o604, 1]])(
  "warnOfOpenTokenFile() warns of a file that every user can read: mode %#",
  (mode, warnings) => {
    const tokenFile = join(freshDirectory(), "token");
    writeFileSync(tokenFile, "");
    chmodSync(tokenFile, mode);
    const lines: string[] = [];
    const log = createLog({
      clock: new ManualClock(0),
      format: "json",
      write: (line) => lines.push(line),
    });
    warnOfOpenTokenFile({ tokenFile, log });
    expect(lines).toHaveLength(warnings);
    if (warnings > 0) expect(lines[0]).toContain("Every user of this machine can read the join token");
  },
);

test("warnOfOpenTokenFile() says nothing of a pipe, of what is not there, and of no file", () => {
  const log = createLog({
    clock: new ManualClock(0),
    format: "json",
    write: () => {
      throw new Error("It warned");
    },
  });
  for (const tokenFile of ["/dev/null", "/no/such", undefined]) warnOfOpenTokenFile({ tokenFile, log });
});
