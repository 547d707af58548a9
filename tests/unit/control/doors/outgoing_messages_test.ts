import { describe, expect, test } from "bun:test";
import {
  LARGE_PUSHES_MAX,
  LargePushes,
  PIECE_BYTES,
  SMALL_PUSH_RESOURCES_MAX,
  TURN_MS,
} from "../../../../src/control/doors/large_pushes.ts";
import { OutgoingMessages } from "../../../../src/control/doors/outgoing_messages.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { unpackText } from "../../../../src/lib/packed_text.ts";
import type { ControlMessage, Push } from "../../../../src/model/discovery.ts";
import type { VersionedResource } from "../../../../src/model/snapshot.ts";
import type { OutgoingPush } from "../../../../src/pilot/discovery/discovery_session.ts";

function resource(name: string, characters = 10): VersionedResource {
  const service = { host: "ü".repeat(characters), name, namespace: "n" };
  const common = { subset: null, port: 80, balancer: "RANDOM", connectTimeoutMs: 1 } as const;
  return { version: name, body: { kind: "cluster", name, service, ...common } };
}

function resources(count: number, characters?: number): VersionedResource[] {
  return Array.from({ length: count }, (_, index) => resource(`r${index}`, characters));
}

function push(set: readonly VersionedResource[]): Push {
  return { type: "push", nonce: 7, set, remove: ["cluster/old"] };
}

/** The answer of a request, whose peer takes what it is sent at once until it is `full`. */
class FakeStream {
  readonly pieces: Uint8Array[] = [];
  full = false;
  ended = false;

  body(piece: Uint8Array): boolean {
    expect(this.ended).toBe(false);
    this.pieces.push(piece);
    return !this.full;
  }

  end(): void {
    this.ended = true;
  }
}

function outgoing() {
  const clock = new ManualClock();
  const large = new LargePushes(clock);
  const open = () => {
    const stream = new FakeStream();
    return { stream, out: new OutgoingMessages(stream, large) };
  };
  return { clock, large, open };
}

/** Everything until the stream ends. */
async function pieces({ stream }: { readonly stream: FakeStream }): Promise<Uint8Array[]> {
  await settle();
  expect(stream.ended).toBe(true);
  return stream.pieces;
}

function messages(pieces: readonly Uint8Array[]): ControlMessage[] {
  const text = Buffer.concat(pieces).toString();
  expect(text.endsWith("\n")).toBe(true);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Lets promises that can come to something do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe("OutgoingMessages", () => {
  test("OutgoingMessages writes each message as a line of JSON, in order, and then ends", async () => {
    const { stream, out } = outgoing().open();
    const sent: ControlMessage[] = [
      push([]),
      { ...push(resources(2)), base: "b" },
      { type: "refusal", reason: "no\nmore" },
    ];
    for (const message of sent) out.send(message);
    out.end();
    out.send({ type: "heartbeat" });
    expect(messages(await pieces({ stream }))).toEqual(sent);
  });

  test("OutgoingMessages hands a large push on in pieces of bounded size", async () => {
    const { stream, out } = outgoing().open();
    const large = push(resources(500, 200));
    out.send(large);
    out.end();
    const sent = await pieces({ stream });
    expect(sent.length).toBeGreaterThan(5);
    for (const piece of sent) expect(piece.length).toBeLessThan(PIECE_BYTES + 2_000);
    expect(messages(sent)).toEqual([large]);
  });

  test("OutgoingMessages leaves a heartbeat out that would wait behind something", async () => {
    const { stream, out } = outgoing().open();
    stream.full = true;
    out.send({ type: "heartbeat" });
    out.send({ type: "heartbeat" });
    out.end();
    out.onWritable();
    expect(messages(await pieces({ stream }))).toEqual([{ type: "heartbeat" }]);
  });

  test("OutgoingMessages goes on when the peer has taken what it was sent, and not before", async () => {
    const { stream, out } = outgoing().open();
    stream.full = true;
    const large = push(resources(500, 200));
    const last: ControlMessage = { type: "refusal", reason: "enough" };
    out.send(large);
    out.send(last);
    out.end();
    await settle();
    for (let taken = 1; !stream.ended; taken++) {
      expect(stream.pieces.length).toBe(taken);
      out.onWritable();
    }
    expect(messages(stream.pieces)).toEqual([large, last]);
  });

  test("OutgoingMessages begins a large push when it is its turn, and nothing else before", async () => {
    const { open, large } = outgoing();
    const turns = await Promise.all(Array.from({ length: LARGE_PUSHES_MAX }, () => large.turn()));
    const { stream, out } = open();
    const sent = push(resources(SMALL_PUSH_RESOURCES_MAX + 1));
    out.send(sent);
    out.end();
    await settle();
    out.onWritable();
    expect(stream.pieces).toEqual([]);
    turns[0]?.();
    expect(messages(await pieces({ stream }))).toEqual([sent]);
  });

  test("OutgoingMessages packs what all are sent alike, for those who can read it", async () => {
    const { open } = outgoing();
    const whole = resources(SMALL_PUSH_RESOURCES_MAX);
    const own = resource("own");
    const sent: OutgoingPush = { ...push([own, ...whole]), remove: [], whole };
    const [able, unable] = [open(), open()];
    able.out.unpacks = true;
    for (const { out } of [able, unable]) {
      out.send(sent);
      out.end();
    }
    const [packed] = messages(await pieces(able)) as [Push];
    expect(packed.set).toEqual([own]);
    expect(JSON.parse(unpackText(packed.packed as string, 1 << 20))).toEqual(whole);
    expect(messages(await pieces(unable))).toEqual([{ ...push([own, ...whole]), remove: [] }]);
  });

  test("OutgoingMessages hands what is packed on in pieces that are in memory once for all", async () => {
    const { open } = outgoing();
    const whole = Array.from({ length: 500 }, (_, index) => resource(`${index * 7_919 % 1e9}`.repeat(40)));
    const sent = await Promise.all([open(), open()].map((one) => {
      one.out.unpacks = true;
      one.out.send({ ...push([resource("own"), ...whole]), whole });
      one.out.end();
      return pieces(one);
    }));
    const [first, second] = sent as [Uint8Array[], Uint8Array[]];
    expect(first.length).toBeGreaterThan(2);
    for (const piece of first) expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
    expect(first[1]?.buffer).toBe(second[1]?.buffer as never);
    const [packed] = messages(first) as [Push];
    expect(JSON.parse(unpackText(packed.packed as string, 1 << 24))).toEqual(whole);
  });

  test.each(["while it is sent", "while it waits"])(
    "OutgoingMessages gives back the turn of a large push %s when nobody reads any more",
    async (when) => {
      const { open, large } = outgoing();
      const before = when === "while it waits" ? LARGE_PUSHES_MAX : 0;
      const turns = await Promise.all(Array.from({ length: before }, () => large.turn()));
      const { stream, out } = open();
      stream.full = true;
      out.send(push(resources(SMALL_PUSH_RESOURCES_MAX + 1, 1_000)));
      await settle();
      expect(stream.pieces.length).toBe(when === "while it waits" ? 0 : 1);
      out.cancel();
      for (const giveBack of turns) giveBack();
      await Promise.all(Array.from({ length: LARGE_PUSHES_MAX }, () => large.turn()));
      out.send({ type: "heartbeat" });
      out.onWritable();
      expect(stream.pieces.length).toBe(when === "while it waits" ? 0 : 1);
    },
  );
});

describe("LargePushes", () => {
  test("LargePushes takes a push for large from one resource more than a small one has", () => {
    const { large } = outgoing();
    expect(large.isLarge(push(resources(SMALL_PUSH_RESOURCES_MAX)))).toBe(false);
    expect(large.isLarge(push(resources(SMALL_PUSH_RESOURCES_MAX + 1)))).toBe(true);
  });

  test("LargePushes gives so many turns at once, and each turn given back to the next in line, once", async () => {
    const { large } = outgoing();
    const done = await Promise.all(Array.from({ length: LARGE_PUSHES_MAX }, () => large.turn()));
    const served: string[] = [];
    void large.turn().then(() => served.push("first"));
    void large.turn().then(() => served.push("second"));
    await settle();
    expect(served).toEqual([]);
    done[0]?.();
    done[0]?.();
    await settle();
    expect(served).toEqual(["first"]);
  });

  test("LargePushes lets nobody wait for a proxy that reads slowly", async () => {
    const { clock, large } = outgoing();
    await Promise.all(Array.from({ length: LARGE_PUSHES_MAX }, () => large.turn()));
    let served = false;
    void large.turn().then(() => served = true);
    clock.advance(TURN_MS - 1);
    await settle();
    expect(served).toBe(false);
    clock.advance(1);
    await settle();
    expect(served).toBe(true);
  });
});
