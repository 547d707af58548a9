import { describe, expect, test } from "bun:test";
import {
  LARGE_PUSHES_MAX,
  LargePushes,
  PIECE_BYTES,
  SMALL_PUSH_RESOURCES_MAX,
  TURN_MS,
} from "../../../src/control/large_pushes.ts";
import { OutgoingMessages } from "../../../src/control/outgoing_messages.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { unpackText } from "../../../src/lib/packed_text.ts";
import type { ControlMessage, Push } from "../../../src/model/discovery.ts";
import type { VersionedResource } from "../../../src/model/snapshot.ts";
import type { OutgoingPush } from "../../../src/pilot/discovery_session.ts";

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

function outgoing() {
  const clock = new ManualClock();
  const large = new LargePushes(clock);
  let cancelled = 0;
  const open = () => new OutgoingMessages(large, () => cancelled++);
  return { clock, large, open, cancelled: () => cancelled };
}

/** Everything until the stream ends. */
async function pieces({ stream }: OutgoingMessages): Promise<Uint8Array[]> {
  return await Array.fromAsync(stream as unknown as AsyncIterable<Uint8Array>);
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
    const messagesOut = outgoing().open();
    const sent: ControlMessage[] = [
      push([]),
      { ...push(resources(2)), base: "b" },
      { type: "refusal", reason: "no\nmore" },
    ];
    for (const message of sent) messagesOut.send(message);
    messagesOut.end();
    messagesOut.send({ type: "heartbeat" });
    expect(messages(await pieces(messagesOut))).toEqual(sent);
  });

  test("OutgoingMessages hands a large push on in pieces of bounded size", async () => {
    const messagesOut = outgoing().open();
    const large = push(resources(500, 200));
    messagesOut.send(large);
    messagesOut.end();
    const sent = await pieces(messagesOut);
    expect(sent.length).toBeGreaterThan(5);
    for (const piece of sent) expect(piece.length).toBeLessThan(PIECE_BYTES + 2_000);
    expect(messages(sent)).toEqual([large]);
  });

  test("OutgoingMessages leaves a heartbeat out that would wait behind something", async () => {
    const messagesOut = outgoing().open();
    messagesOut.send({ type: "heartbeat" });
    messagesOut.send({ type: "heartbeat" });
    messagesOut.end();
    expect(messages(await pieces(messagesOut))).toEqual([{ type: "heartbeat" }]);
  });

  test("OutgoingMessages packs what all are sent alike, for those who can read it", async () => {
    const { open } = outgoing();
    const whole = resources(SMALL_PUSH_RESOURCES_MAX);
    const own = resource("own");
    const sent: OutgoingPush = { ...push([own, ...whole]), remove: [], whole };
    const [able, unable] = [open(), open()];
    able.unpacks = true;
    for (const one of [able, unable]) {
      one.send(sent);
      one.end();
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
      one.unpacks = true;
      one.send({ ...push([resource("own"), ...whole]), whole });
      one.end();
      return pieces(one);
    }));
    const [first, second] = sent as [Uint8Array[], Uint8Array[]];
    expect(first.length).toBeGreaterThan(2);
    for (const piece of first) expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
    expect(first[1]?.buffer).toBe(second[1]?.buffer as never);
    const [packed] = messages(first) as [Push];
    expect(JSON.parse(unpackText(packed.packed as string, 1 << 24))).toEqual(whole);
  });

  test("OutgoingMessages says that nobody reads any more, and gives back its turn", async () => {
    const { open, cancelled, large } = outgoing();
    const first = open();
    first.send(push(resources(SMALL_PUSH_RESOURCES_MAX + 1, 1_000)));
    const reader = first.stream.getReader();
    await reader.read();
    await reader.cancel();
    expect(cancelled()).toBe(1);
    const turns = Array.from({ length: LARGE_PUSHES_MAX }, () => large.turn());
    await Promise.all(turns);
  });
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
