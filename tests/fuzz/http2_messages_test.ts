/**
 * Messages of HTTP/2 between a client and a workload that both break the rules now and then, through both sidecars: each
 * gets the other's messages as they were said, none that was not whole or not one, and every stream ends.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import {
  CLIENT_PREFACE,
  CONTINUATION,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  goAway,
  HEADERS,
  headers,
  literals,
  PADDED,
  ping,
  PRIORITY_FLAG,
  raw,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from "../unit/proxy/http2/raw_frames.ts";
import { field, FramePeer, type Said } from "./frame_peer.ts";
import { type End, JoinedPlanes, NOTHING_HELD } from "./joined_planes.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const STREAMS = 10;

/** Frames in their order, and whether the message is one. */
interface Plan {
  readonly units: readonly Buffer[];
  readonly fault: string;
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[] | null;
}

const BAD_FIELDS: readonly (readonly string[])[] = [
  ["X-Upper", "a"],
  ["connection", "close"],
  ["transfer-encoding", "chunked"],
  ["upgrade", "h2c"],
  ["te", "gzip"],
  ["x", "a\nb"],
  ["x", "a\0b"],
  ["x", " a"],
  ["x:y", "a"],
  ["", "a"],
  ["x y", "a"],
  [":path", "/again"],
  [":odd", "a"],
  ["content-length", "5, 5"],
  ["content-length", "-1"],
];

class Author {
  constructor(readonly random: Prng) {}

  one<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }

  odds(one: number): boolean {
    return this.random.below(one) === 0;
  }

  /** `pseudo`: what the head begins with. */
  message(id: number, pseudo: readonly string[], faults: readonly string[]): Plan {
    let fault = this.odds(3) ? this.one(faults) : "";
    const fields = [...pseudo, "x-case", String(this.random.below(1_000))];
    const pieces = Array.from(
      { length: this.random.below(4) },
      () => "b".repeat(this.random.below(3_000)) + id,
    );
    const body = pieces.join("");
    const trailers = this.odds(3) ? ["x-late", "y"] : null;
    if (body === "" && ["long", "body first"].includes(fault)) fault = "";
    if (fault === "field") fields.push(...this.one(BAD_FIELDS));
    if (fault === "order") fields.push(...fields.splice(0, 2));
    if (fault === "no pseudo") fields.splice(0, 2);
    if (fault === "short") fields.push("content-length", String(body.length + 1));
    else if (fault === "long") fields.push("content-length", String(Math.max(0, body.length - 1)));
    else if (this.odds(3)) fields.push("content-length", String(body.length));
    const empty = body === "" && trailers === null && fault === "" && this.odds(2);
    const units: Buffer[] = [this.#head(id, fields, empty)];
    pieces.forEach((piece, i) => {
      const last = i === pieces.length - 1 && trailers === null && !/late|trailers/.test(fault);
      units.push(this.#data(id, piece, last));
    });
    if (fault === "body first") units.reverse();
    const late = fault === "pseudo late" ? [":path", "/x"] : fault === "bad late" ? this.one(BAD_FIELDS) : [];
    if (trailers !== null || late.length > 0 || fault === "open trailers") {
      const open = fault === "open trailers";
      units.push(headers(id, [...late, ...trailers ?? ["x-late", "y"]], !open));
      if (open) units.push(data(id, "", true));
    } else if (pieces.length === 0 && !empty) units.push(data(id, "", true));
    if (fault === "behind") units.push(this.one([data(id, "x"), headers(id, ["x-late", "y"], true)]));
    if (fault === "never") units.pop();
    if (fault === "reset") {
      units.length = this.random.below(units.length + 1);
      if (units.length > 0) units.push(rstStream(id, this.one(["CANCEL", "NO_ERROR", "INTERNAL_ERROR"])));
    }
    return { units, fault, fields, body, trailers };
  }

  /** With padding, priority and CONTINUATION now and then. */
  #head(id: number, fields: readonly string[], ended: boolean): Buffer {
    const block = literals(fields);
    const end = ended ? END_STREAM : 0;
    if (this.odds(4)) {
      const at = this.random.below(block.length);
      return Buffer.concat([
        raw(HEADERS, end, id, block.subarray(0, at)),
        raw(CONTINUATION, END_HEADERS, id, block.subarray(at)),
      ]);
    }
    if (this.odds(4)) {
      const padding = this.random.below(20);
      const content = Buffer.concat([
        Buffer.from([padding]),
        uint32(0),
        Buffer.from([7]),
        block,
        Buffer.alloc(padding),
      ]);
      return raw(HEADERS, end | END_HEADERS | PADDED | PRIORITY_FLAG, id, content);
    }
    return headers(id, fields, ended);
  }

  #data(id: number, text: string, ended: boolean): Buffer {
    if (!this.odds(4)) return data(id, text, ended);
    const padding = this.random.below(200);
    const content = Buffer.concat([Buffer.from([padding]), Buffer.from(text), Buffer.alloc(padding)]);
    return raw(DATA, PADDED | (ended ? END_STREAM : 0), id, content);
  }
}

const REQUEST_FAULTS = [
  "field",
  "order",
  "no pseudo",
  "short",
  "long",
  "pseudo late",
  "bad late",
  "open trailers",
  "behind",
  "reset",
  "never",
];
const RESPONSE_FAULTS = [...REQUEST_FAULTS, "body first", "refuse", "status", "break", "leave"];

interface Answered {
  readonly request: Said;
  readonly plan: Plan;
  /** All of it went out, and the connection stands. */
  whole: boolean;
}

/** What the workload got and said, by the number of the request. */
type Book = Map<string, Answered[]>;

function workload(random: Prng, author: Author, book: Book) {
  return (wire: End): WireOwner => {
    const answered = new Set<number>();
    let last = Infinity;
    const peer: FramePeer = new FramePeer((id, request) => {
      if (id > last || answered.has(id) || request.fields === null || peer.gone) return;
      if (!request.ended && random.below(6) > 0) return;
      answered.add(id);
      const name = field(request.fields, "x-id") as string;
      const plan = author.message(id, [":status", "200", "x-id", name], RESPONSE_FAULTS);
      const entry: Answered = { request, plan, whole: false };
      book.set(name, [...book.get(name) ?? [], entry]);
      if (plan.fault === "refuse") return void wire.write(rstStream(id, "REFUSED_STREAM"));
      if (plan.fault === "status") {
        return void wire.write(headers(id, [":status", author.one(["101", "99", "abc", "600"])], true));
      }
      if (random.below(5) === 0) wire.write(headers(id, [":status", author.one(["100", "103"])]));
      for (const unit of plan.units) wire.write(unit);
      entry.whole = true;
      if (plan.fault === "break") wire.terminate();
      if (plan.fault !== "leave") return;
      last = Math.max(...peer.streams.keys());
      wire.write(goAway(last));
    });
    peer.wire = wire;
    wire.write(settings());
    return peer;
  };
}

test("messages pass as they were said, or not at all", async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const random = new Prng(seed);
    const author = new Author(random);
    const book: Book = new Map();
    const mesh = new JoinedPlanes(random, workload(random, author, book), "http2");
    const client = new FramePeer();
    client.wire = mesh.client(client);
    client.wire.write(Buffer.concat([CLIENT_PREFACE, settings()]));
    const plans = new Map<string, Plan>();
    const queues = Array.from({ length: STREAMS }, (_, i) => {
      const name = `${seed}.${i}`;
      const grpc = random.below(2) === 0 ? ["content-type", "application/grpc", "te", "trailers"] : [];
      const head = [
        ":method",
        "POST",
        ":scheme",
        "http",
        ":authority",
        "shop",
        ":path",
        "/",
        "x-id",
        name,
        ...grpc,
      ];
      const plan = author.message(1 + 2 * i, head, REQUEST_FAULTS);
      plans.set(name, plan);
      return [...plan.units];
    });
    // Streams begin in their order.
    let begun = 0;
    while (queues.some((queue) => queue.length > 0) && !client.gone) {
      const open = random.below(3) === 0 ? begun : random.below(begun + 1);
      const queue = queues[Math.min(open, STREAMS - 1)] as Buffer[];
      if (open >= begun) begun = open + 1;
      const unit = queue.shift();
      if (unit !== undefined) client.wire.write(unit);
      if (random.below(10) === 0) {
        client.wire.write(
          author.one([ping(), windowUpdate(0, 100), settings([4, 60_000]), raw(99, 0, 0, "?")]),
        );
      }
      if (random.below(3) === 0) await mesh.step(random.below(10));
    }
    await mesh.settle();
    for (let i = 0; i < 3; i++) await mesh.pass(310_000);
    for (const [i, [name, plan]] of [...plans].entries()) {
      const heard = client.streams.get(1 + 2 * i);
      const answers = book.get(name) ?? [];
      const story = {
        seed,
        name,
        fault: plan.fault,
        heard,
        answers: answers.map(({ plan: { fault }, whole, request }) => ({
          fault,
          whole,
          ended: request.ended,
          reset: request.reset,
        })),
      };
      expect([story, judge(plan, heard, answers, client.gone || client.goneAway)]).toEqual([story, ""]);
    }
    client.wire.terminate();
    await mesh.settle();
    expect({ seed, ...mesh.held }).toEqual({ seed, ...NOTHING_HELD });
  }
}, 120_000);

/** Empty: as it should be. */
function judge(plan: Plan, heard: Said | undefined, answers: readonly Answered[], over: boolean): string {
  for (const { request } of answers) {
    if (!request.ended) continue;
    if (!["", "reset", "behind"].includes(plan.fault)) {
      return "the workload got a whole request that was none";
    }
    if (request.body !== plan.body) return "the workload got another body";
    if (JSON.stringify(request.trailers) !== JSON.stringify(plan.trailers)) {
      return "the workload got other trailers";
    }
  }
  const begun = answers.filter(({ plan: { fault } }) => fault !== "refuse");
  // What came to no answer is UNAVAILABLE to gRPC, which is tried again.
  const grpc = field(plan.fields, "content-type") !== undefined;
  if (begun.length > 1 && !grpc) return "the workload was asked twice";
  if (heard === undefined || !heard.ended) {
    const wanted = plan.fault === "" && begun.length > 0 && begun.at(-1)?.plan.fault === "";
    if (wanted && !over) return "a whole answer did not arrive";
    if (plan.units.length > 0 && plan.fault !== "reset" && !over && heard?.reset !== true) {
      return "a stream has no end";
    }
    return "";
  }
  const fields = heard.fields as string[];
  if (field(fields, "x-id") === undefined) return "";
  const given = begun.at(-1);
  if (
    given === undefined || !given.whole ||
    !["", "behind", "leave", "break", "reset"].includes(given.plan.fault)
  ) {
    return "the client got a whole answer that was none";
  }
  if (given.plan.fault === "reset" && given.plan.units.length < 2) {
    return "the client got an answer of nothing";
  }
  if (heard.body !== given.plan.body) return "the client got another body";
  if (JSON.stringify(heard.trailers) !== JSON.stringify(given.plan.trailers)) {
    return "the client got other trailers";
  }
  return "";
}
