/** FrameReader: the same frames however the bytes were split, and no more of them copied than splits ask for. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FrameReader } from "../../../../src/proxy/http2/frame_reader.ts";
import { FRAME_BYTES_MAX } from "../../../../src/proxy/http2/limits.ts";

function frameOf(streamId: number, content: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, content]);
}

/** What the reader finds in these chunks. */
function read(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader();
  const found: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      if (frame === "tooLarge") return [...found, frame];
      found.push(`${frame.streamId}:${frame.content.toString("latin1")}`);
    }
  }
  return found;
}

describe("FrameReader", () => {
  test("FrameReader finds the same frames whatever the split (property)", () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(contents, fc.array(fc.nat({ max: 400 }), { maxLength: 10 }), (contents, cuts) => {
        const bytes = Buffer.concat(contents.map((content, i) => frameOf(i + 1, content)));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
        const chunks = at.slice(1).map((to, i) => bytes.subarray(at[i], to)).filter(({ length }) =>
          length > 0
        );
        expect(read(chunks)).toEqual(
          contents.map((content, i) => `${i + 1}:${Buffer.from(content).toString("latin1")}`),
        );
      }),
    );
  });

  test("FrameReader reads what is behind a frame that was split where it stands", () => {
    const first = frameOf(1, Buffer.alloc(100, "a"));
    const chunk = Buffer.concat([first.subarray(50), frameOf(3, Buffer.alloc(100, "b"))]);
    const reader = new FrameReader();
    reader.push(first.subarray(0, 50));
    expect(reader.next()).toBeNull();
    reader.push(chunk);
    expect(reader.next()).toMatchObject({ streamId: 1, length: 100 });
    const frame = reader.next();
    expect(frame).toMatchObject({ streamId: 3, length: 100 });
    expect((frame as { bytes: Buffer }).bytes).toBe(chunk);
    expect(reader.next()).toBeNull();
  });

  test("FrameReader takes a frame of the largest size and none above, split or not", () => {
    for (const [length, found] of [[FRAME_BYTES_MAX, 1], [FRAME_BYTES_MAX + 1, "tooLarge"]] as const) {
      const bytes = frameOf(1, Buffer.alloc(length));
      for (const cut of [0, 2, 3, 9, 1_000]) {
        const frames = read([bytes.subarray(0, cut), bytes.subarray(cut)]);
        expect(found === 1 ? frames.length : frames[0]).toBe(found);
      }
    }
  });
});
