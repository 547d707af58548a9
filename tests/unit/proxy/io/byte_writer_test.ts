import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  ByteWriter,
  type GatherUntil,
  WRITE_HIGH_WATER_BYTES,
} from "../../../../src/proxy/io/byte_writer.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";

function writerOf(wire: FakeWire, gather?: GatherUntil): { writer: ByteWriter; woken: () => number } {
  let woken = 0;
  const writer = new ByteWriter(wire, () => void woken++, gather);
  return { writer, woken: () => woken };
}

describe("ByteWriter", () => {
  test("ByteWriter sends nothing before it is flushed, then everything in one write", () => {
    const wire = new FakeWire();
    const { writer } = writerOf(wire);
    writer.text("GET / HTTP/1.1\r\n");
    writer.field("host", "a");
    writer.crlf();
    writer.bytes(latin1("caf\xe9"));
    expect(wire.written).toBe("");
    expect(writer.unsent).toBe(31);
    writer.flush();
    expect(wire.written).toBe("GET / HTTP/1.1\r\nhost: a\r\n\r\ncaf\xe9");
    expect(wire.writes).toBe(1);
    expect(writer.unsent).toBe(0);
  });

  test("ByteWriter.flushSoon() writes once when the running callback is over", async () => {
    const wire = new FakeWire();
    const { writer } = writerOf(wire);
    for (let i = 0; i < 5; i++) {
      writer.text(String(i));
      writer.flushSoon();
    }
    expect(wire.written).toBe("");
    await settle();
    expect([wire.written, wire.writes]).toEqual(["01234", 1]);
  });

  test("ByteWriter.flushSoon() keeps the order in which writers became dirty", async () => {
    const order: string[] = [];
    const writers = ["a", "b", "c"].map((name) => {
      const wire = new FakeWire();
      const write = wire.write.bind(wire);
      wire.write = (...args) => {
        order.push(name);
        return write(...args);
      };
      return writerOf(wire).writer;
    });
    for (const writer of [...writers].reverse()) {
      writer.text("x");
      writer.flushSoon();
    }
    await settle();
    expect(order).toEqual(["c", "b", "a"]);
  });

  test("ByteWriter goes on for all when the owner of one throws", () => {
    const program = [process.execPath, `${import.meta.dir}/throwing_writer.ts`];
    const { stdout } = Bun.spawnSync(program, { env: {}, stderr: "inherit" });
    expect(JSON.parse(stdout.toString())).toEqual({ thrown: 2, written: ["xx", "xx"] });
  });

  test("ByteWriter keeps what the socket did not take and goes on at its drain", () => {
    const wire = new FakeWire();
    const { writer } = writerOf(wire);
    wire.room = 3;
    writer.text("hello");
    writer.flush();
    expect([wire.written, writer.unsent]).toEqual(["hel", 2]);
    writer.text(" world");
    writer.flush();
    expect(wire.writes).toBe(1);
    wire.room = 4;
    writer.onDrain();
    expect([wire.written, writer.unsent]).toEqual(["hello w", 4]);
    wire.room = 100;
    writer.onDrain();
    expect([wire.written, writer.unsent]).toEqual(["hello world", 0]);
  });

  test("ByteWriter of frames fills its buffers, and sends each as it is full", () => {
    const wire = new FakeWire();
    const { writer } = writerOf(wire, "turn");
    const lengths: number[] = [];
    const write = wire.write.bind(wire);
    wire.write = (data, offset, length) => {
      lengths.push(length as number);
      return write(data, offset, length);
    };
    for (let i = 0; i < 8; i++) {
      writer.text("123456789");
      writer.bytes(new Uint8Array(16_384));
    }
    expect(lengths).toEqual([65_536, 65_536]);
    expect(writer.unsent).toBe(72);
    writer.flush();
    expect(lengths).toEqual([65_536, 65_536, 72]);
  });

  test("ByteWriter lets go of a much larger buffer than the piece of it that waits", () => {
    for (const [bufferBytes, copied] of [[87_501, true], [87_500, false]] as const) {
      const wire = new FakeWire();
      const { writer } = writerOf(wire);
      wire.room = 0;
      const buffer = Buffer.alloc(bufferBytes, "a");
      expect(writer.bytes(buffer.subarray(0, 70_000))).toBe(false);
      // Shows whose bytes are sent.
      buffer.fill("b");
      wire.room = Number.POSITIVE_INFINITY;
      writer.onDrain();
      expect(wire.written).toBe((copied ? "a" : "b").repeat(70_000));
    }
  });

  test("ByteWriter.bytes() says stop above the high-water mark, and wakes once when all is sent", () => {
    const wire = new FakeWire();
    const { writer, woken } = writerOf(wire);
    wire.room = 0;
    const piece = new Uint8Array(1024);
    for (let i = 0; i < WRITE_HIGH_WATER_BYTES / 1024; i++) expect(writer.bytes(piece)).toBe(true);
    expect(writer.bytes(new Uint8Array(1))).toBe(false);
    writer.flush();
    wire.room = WRITE_HIGH_WATER_BYTES;
    writer.onDrain();
    expect(woken()).toBe(0);
    wire.room = 1;
    writer.onDrain();
    expect([woken(), writer.unsent]).toEqual([1, 0]);
    writer.onDrain();
    expect(woken()).toBe(1);
  });

  test("ByteWriter forgets everything once the socket is closed", () => {
    const wire = new FakeWire();
    const { writer } = writerOf(wire);
    wire.room = 1;
    writer.text("hello");
    writer.flush();
    writer.bytes(new Uint8Array(100_000));
    wire.terminate();
    writer.onDrain();
    expect(writer.unsent).toBe(0);
    writer.text("more");
    writer.flush();
    writer.onDrain();
    expect(wire.written).toBe("h");
  });

  test("ByteWriter does not send one connection's bytes on another through a reused buffer", () => {
    const wires = [new FakeWire(), new FakeWire()] as const;
    const [first, second] = wires.map((wire) => writerOf(wire).writer) as [ByteWriter, ByteWriter];
    first.text("secret-of-the-first");
    first.flush();
    second.text("x");
    first.text("y");
    second.flush();
    first.flush();
    expect(wires[0].written).toBe("secret-of-the-firsty");
    expect(wires[1].written).toBe("x");
  });

  test("ByteWriter wakes nobody in the middle of a write", async () => {
    const wire = new FakeWire();
    const { writer, woken } = writerOf(wire);
    // Large pieces without a write of their own, then a small one that is too much, then one that sends them all.
    writer.bytes(new Uint8Array(WRITE_HIGH_WATER_BYTES - 4));
    writer.bytes(new Uint8Array(9));
    expect(writer.hasRoom).toBe(false);
    writer.bytes(new Uint8Array(16 * 1024 + 1));
    expect([writer.unsent, woken(), writer.hasRoom]).toEqual([0, 0, false]);
    await settle();
    expect([woken(), writer.hasRoom]).toEqual([1, true]);
  });

  test("ByteWriter sends every byte once and in order, whatever the socket takes (property)", () => {
    const piece = fc.oneof(
      fc.nat(40).map((bytes) => ({ kind: "text" as const, bytes })),
      fc.constantFrom(4_095, 4_096, 4_097, 16_384, 16_385, 40_000).map((bytes) => ({
        kind: "bytes" as const,
        bytes,
      })),
      fc.nat(70_000).map((room) => ({ kind: "drain" as const, bytes: room })),
      fc.constant({ kind: "flush" as const, bytes: 0 }),
      fc.constantFrom(1, 16_384, 20_000).map((bytes) => ({ kind: "field" as const, bytes })),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.nat(50_000), fc.boolean(), (pieces, room, turn) => {
        const wire = new FakeWire();
        const { writer } = writerOf(wire, turn ? "turn" : "callback");
        wire.room = room;
        let expected = "";
        let next = 0;
        const fresh = (bytes: number) => {
          let text = "";
          for (let i = 0; i < bytes; i++) text += String.fromCharCode(33 + (next++ % 90));
          return text;
        };
        for (const { kind, bytes } of pieces) {
          if (kind === "drain") {
            wire.room = bytes;
            writer.onDrain();
          } else if (kind === "flush") {
            writer.flush();
          } else if (kind === "field") {
            const value = fresh(bytes);
            writer.field("n", value);
            expected += `n: ${value}\r\n`;
          } else {
            const text = fresh(bytes);
            if (kind === "text") writer.text(text);
            else writer.bytes(latin1(text));
            expected += text;
          }
          expect(wire.written.length + writer.unsent).toBe(expected.length);
        }
        wire.room = Number.POSITIVE_INFINITY;
        writer.onDrain();
        expect(wire.written === expected).toBe(true);
      }),
      { seed: 1, numRuns: 60 },
    );
  });
});
