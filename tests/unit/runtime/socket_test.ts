/** The promises that owners of sockets build on, on real ones. */
import { describe, expect, test } from "bun:test";
import { connect, listenMutualTls, listenTcp } from "../../../src/runtime/socket.ts";
import type { Wire, WireOwner } from "../../../src/runtime/wire.ts";
import { ListenError } from "../../../src/runtime/listen_error.ts";
import { TestAuthority } from "../identity/odd_certificates.ts";

const HERE = "127.0.0.1";
const NONE: WireOwner = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** Connects in plain text; rejects with what `failed` was told. */
function open(port: number, owner: (wire: Wire) => WireOwner): Promise<Wire> {
  return new Promise((resolve, reject) => {
    connect({ hostname: HERE, port }, null, {
      opened: (wire) => {
        resolve(wire);
        return owner(wire);
      },
      failed: reject,
    });
  });
}

function freePort(): number {
  const listener = listenTcp({ hostname: HERE, port: 0 }, () => NONE);
  listener.stop();
  return listener.port;
}

describe("connect()", () => {
  test("connect() tells of a refused connection once", async () => {
    let failures = 0;
    await new Promise<void>((resolve) => {
      connect({ hostname: HERE, port: freePort() }, null, {
        opened: () => {
          throw new Error("It opened");
        },
        failed: () => {
          failures++;
          setTimeout(resolve, 30);
        },
      });
    });
    expect(failures).toBe(1);
  });

  test.each([
    ["a port that is none", { hostname: HERE, port: 70_000 }, null],
    ["no host", { hostname: "", port: 80 }, null],
    ["a certificate that is none", { hostname: HERE, port: 80 }, { chain: "x", key: "y", roots: "z" }],
  ])("connect() tells of %s, and does not throw", (_what, address, tls) => {
    const told: Error[] = [];
    connect(address, tls, { opened: () => NONE, failed: (error) => void told.push(error) });
    expect(told).toHaveLength(1);
  });
});

describe("an owner", () => {
  test("an owner that throws loses its connection, and hears of its end", async () => {
    const closed = Promise.withResolvers<string>();
    const listener = listenTcp({ hostname: HERE, port: 0 }, () => ({
      ...NONE,
      onData() {
        throw new Error("The owner is broken");
      },
      onClose: () => closed.resolve("closed"),
    }));
    const gone = Promise.withResolvers<string>();
    const wire = await open(listener.port, () => ({ ...NONE, onClose: () => gone.resolve("gone") }));
    wire.write(Buffer.from("x"));
    expect(await Promise.all([closed.promise, gone.promise])).toEqual(["closed", "gone"]);
    listener.stop();
  });

  test("an owner may answer after the peer closed its half", async () => {
    const listener = listenTcp({ hostname: HERE, port: 0 }, (wire) => ({
      ...NONE,
      onEnd() {
        wire.write(Buffer.from("late"));
        wire.end();
      },
    }));
    const heard = Promise.withResolvers<string>();
    const wire = await open(
      listener.port,
      () => ({ ...NONE, onData: (chunk) => heard.resolve(chunk.toString()) }),
    );
    wire.shutdown();
    expect(await heard.promise).toBe("late");
    wire.end();
    listener.stop();
  });
});

describe("listenMutualTls()", () => {
  test(
    "listenMutualTls() closes a connection for which it has no certificate, or one that is none",
    async () => {
      const { roots } = await TestAuthority.make();
      for (const material of [null, { chain: "x", key: "y", roots }]) {
        const listener = listenMutualTls(
          { hostname: HERE, port: 0 },
          () => material,
          () => ({ ...NONE, onHandshake() {} }),
          {
            requireClientCertificate: true,
            alpn: ["h2"],
          },
        );
        const gone = Promise.withResolvers<string>();
        await open(listener.port, () => ({
          ...NONE,
          onClose: () => gone.resolve("gone"),
          onEnd: () => gone.resolve("gone"),
        }));
        expect(await gone.promise).toBe("gone");
        listener.stop();
      }
    },
    3_000,
  );
});

describe("a shared port", () => {
  const address = (port: number, shared: boolean) => ({ hostname: HERE, port, shared });

  test("is for all who say so, and for nobody else", () => {
    const first = listenTcp(address(0, true), () => NONE);
    const second = listenTcp(address(first.port, true), () => NONE);
    expect(() => listenTcp(address(first.port, false), () => NONE)).toThrow(ListenError);
    first.stop();
    second.stop();
  });

  test("is not to be had while one has it for itself", () => {
    const first = listenTcp(address(0, false), () => NONE);
    expect(() => listenTcp(address(first.port, true), () => NONE)).toThrow("another process already does");
    first.stop();
    listenTcp(address(first.port, true), () => NONE).stop();
  });
});
