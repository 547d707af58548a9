/** Sockets of the file system that are listened at. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, listenTcp } from "../../../src/runtime/socket.ts";
import { NOBODY } from "../../../src/runtime/wire.ts";

const directory = mkdtempSync(join(tmpdir(), "bowline-sockets-"));
afterAll(() => rmSync(directory, { recursive: true }));

const path = (name: string) => join(directory, name);
const listenAt = (where: string) => listenTcp({ hostname: `unix://${where}`, port: 0 }, () => NOBODY);
const reason = (where: string) => {
  try {
    listenAt(where).stop();
    return "it listens";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("listenTcp() at a socket", () => {
  test("is for the user and the group, and its file goes as it stops", async () => {
    const heard = Promise.withResolvers<string>();
    const listener = listenTcp({ hostname: `unix://${path("a")}`, port: 0 }, () => ({
      ...NOBODY,
      onData: (chunk) => heard.resolve(chunk.toString()),
    }));
    expect(statSync(path("a")).mode & 0o7777).toBe(0o660);
    connect({ hostname: `unix://${path("a")}`, port: 0 }, null, {
      opened(wire) {
        wire.write(new TextEncoder().encode("hello"));
        return NOBODY;
      },
      failed: heard.reject,
    });
    expect(await heard.promise).toBe("hello");
    listener.stop();
    expect(existsSync(path("a"))).toBe(false);
  });

  test("leaves alone who listens there, and whatever is no socket", () => {
    const listener = listenAt(path("b"));
    expect(reason(path("b"))).toBe(`Cannot listen on ${path("b")}: another process already does`);
    listener.stop();
    writeFileSync(path("file"), "mine");
    symlinkSync(path("nowhere"), path("link"));
    for (const name of ["file", "link"]) {
      expect(reason(path(name))).toBe(
        `Cannot listen on ${path(name)}: there is a file of that name, which is no socket`,
      );
    }
    expect(statSync(path("file")).size).toBe(4);
    expect(reason(path("none/c"))).toBe(`Cannot listen on ${path("none/c")}: its directory is not there`);
  });

  test("takes the place of what a process left that was killed", async () => {
    const script = `Bun.listen({ unix: ${
      JSON.stringify(path("d"))
    }, socket: { data() {} } }); console.log("listens");`;
    const left = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    await left.stdout.getReader().read();
    expect(reason(path("d"))).toContain("another process already does");
    left.kill("SIGKILL");
    await left.exited;
    expect(existsSync(path("d"))).toBe(true);
    expect(reason(path("d"))).toBe("it listens");
  });

  test("has abstract names, which have no file", () => {
    const name = `@bowline-${process.pid}`;
    const listener = listenAt(name);
    expect(reason(name)).toContain("another process already does");
    listener.stop();
    expect(reason(name)).toBe("it listens");
  });
});
