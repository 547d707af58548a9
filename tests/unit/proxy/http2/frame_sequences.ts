/** Sequences of frames, sensible and not, and what each end of a connection makes of them: for properties and fuzzing. */
import fc from "fast-check";
import { settle } from "../fake_wire.ts";
import type { SeenRequest } from "../http1/downstream.ts";
import { SeenResponse } from "../http1/upstream.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  CLIENT_PREFACE,
  CONTINUATION,
  data,
  FrameLog,
  get,
  goAway,
  headers,
  literals,
  ping,
  post,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const ids = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(1, 3, 5, 7, 9) }, {
  weight: 1,
  arbitrary: fc.constantFrom(0, 2, 11, 2 ** 31 - 1),
});
const text = fc.string({ maxLength: 40 });
const extra = fc.constantFrom<string[]>([], ["x", "y"], ["cookie", "a", "cookie", "b"], ["te", "trailers"], [
  "X",
  "y",
], ["connection", "close"]);
const length = fc.constantFrom<string[]>([], ["content-length", "0"], ["content-length", "5"]);

const anyFrame = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(ids, text, fc.boolean()).map(([id, content, ended]) => data(id, content, ended)),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(ids, fc.integer({ min: 0, max: 255 }), text).map(([id, padding, content]) =>
      raw(0, 8, id, String.fromCharCode(padding) + content)
    ),
  },
  { weight: 1, arbitrary: ids.map((id) => rstStream(id, "CANCEL")) },
  {
    weight: 1,
    arbitrary: fc.tuple(ids, fc.constantFrom(0, 1, 70_000, 2 ** 31 - 1)).map(([id, bytes]) =>
      windowUpdate(id, bytes)
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      settings(),
      settings([4, 0]),
      settings([4, 70_000]),
      settings([1, 0]),
      settings([3, 1]),
      raw(4, 1, 0),
    ),
  },
  { weight: 1, arbitrary: fc.constant(ping()) },
  {
    weight: 1,
    arbitrary: fc.tuple(ids, fc.integer({ min: 0, max: 255 }), text).map(([id, flags, content]) =>
      raw(CONTINUATION, flags, id, content)
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 255 }), ids, text).map((
      [type, flags, id, content],
    ) => raw(type, flags, id, content)),
  },
);

/** A header block in one frame, or cut in two. */
function block(list: fc.Arbitrary<string[]>): fc.Arbitrary<Buffer> {
  return fc.tuple(ids, list, fc.boolean(), fc.option(fc.integer({ min: 0, max: 60 }), { freq: 3 })).map(
    ([id, fields, ended, cut]) => {
      if (cut === null) return headers(id, fields, ended);
      const bytes = literals(fields);
      return Buffer.concat([
        raw(1, ended ? 1 : 0, id, bytes.subarray(0, cut)),
        raw(CONTINUATION, 4, id, bytes.subarray(cut)),
      ]);
    },
  );
}

const requestFields = fc.tuple(fc.constantFrom(get(), post()), length, extra).map((parts) => parts.flat());
const responseFields = fc.tuple(
  fc.constantFrom([":status", "200"], [":status", "103"], [":status", "204"], ["t", "u"], [":status", "x"]),
  length,
  extra,
)
  .map((parts) => parts.flat());

export const clientFrames = sequence(
  fc.oneof({ weight: 4, arbitrary: block(requestFields) }, {
    weight: 1,
    arbitrary: block(fc.constant(["t", "u"])),
  }, { weight: 6, arbitrary: anyFrame }),
);
export const serverFrames = sequence(
  fc.oneof({ weight: 4, arbitrary: block(responseFields) }, { weight: 6, arbitrary: anyFrame }, {
    weight: 1,
    arbitrary: fc.constantFrom(0, 3, 5, 2 ** 31 - 1).map((id) => goAway(id)),
  }),
);

/** Frames as bytes, now and then with some bytes changed. */
function sequence(frame: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const changes = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.integer({ min: 0, max: 255 })),
    { maxLength: 3 },
  );
  return fc.tuple(
    fc.array(frame, { maxLength: 25 }),
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: changes }),
  ).map(
    ([frames, edits]) => {
      const bytes = Buffer.concat(frames);
      for (const [at, value] of edits) if (bytes.length > 0) bytes[Math.floor(at * bytes.length)] = value;
      return bytes;
    },
  );
}

/** Lengths of pieces; what is left over is the last one. */
export const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 60 });

export function split(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of lengths) {
    if (at >= bytes.length) break;
    pieces.push(bytes.subarray(at, at += size));
  }
  if (at < bytes.length) pieces.push(bytes.subarray(at));
  return pieces;
}

/** What a server makes of it: requests, what became of them, and what it answered. Throws when a handler is called out of turn. */
export async function serverEvents(pieces: readonly Buffer[]): Promise<unknown> {
  const down = new Http2Downstream();
  down.onAccept = (request) => {
    if (request.ended) answer(request);
  };
  down.send(CLIENT_PREFACE, settings());
  for (const piece of pieces) down.connection.onData(Buffer.from(piece));
  for (const request of down.requests) if (request.ended && request.reset === null) answer(request);
  await settle();
  const { closed, malformed } = down;
  const requests = down.requests.map(({ head, body, ended, trailers, reset }) => ({
    head,
    body,
    ended,
    trailers,
    reset,
  }));
  const written = new FrameLog().tell(down.wire.take());
  // What is still open must be told of the end, and nothing may come after.
  down.connection.onClose();
  for (const request of down.requests) {
    if (request.reset === null && !answered.has(request)) throw new Error("A request was forgotten");
  }
  return { requests, closed, malformed, written };
}

const answered = new WeakSet<SeenRequest>();

function answer(request: SeenRequest): void {
  if (answered.has(request)) return;
  answered.add(request);
  request.answer("hello");
}

/** What a client with five requests makes of it. */
export async function clientEvents(pieces: readonly Buffer[]): Promise<unknown> {
  const up = new Http2Upstream();
  up.answer(settings());
  const responses = ["GET", "HEAD", "POST", "GET", "POST"].map((method) => {
    const { stream, response } = up.request(
      { method, bodyLength: method === "POST" ? -1 : 0 },
      new SeenResponse(),
    );
    if (method === "POST") stream.body(Buffer.from("some"));
    return response;
  });
  for (const piece of pieces) up.connection.onData(Buffer.from(piece));
  await settle();
  const { gone, connection: { capacity } } = up;
  const seen = responses.map(({ informed, head, body, ended, trailers, reset }) => ({
    informed,
    head,
    body,
    ended,
    trailers,
    reset,
  }));
  const written = new FrameLog().tell(up.wire.take());
  up.connection.onClose();
  for (const { ended, reset } of responses) {
    if (!ended && reset === null) throw new Error("A response was forgotten");
  }
  return { gone, capacity, seen, written };
}
