/** Bytes as peers send them and as attackers do: messages, parts of messages, and both with bytes changed. */
import fc from "fast-check";
import { settle } from "../fake_wire.ts";
import { Downstream } from "./downstream.ts";
import { Upstream } from "./upstream.ts";

const REQUESTS = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "\r\nGET /a?b HTTP/1.1\r\nHost: a:80\r\nX-A: b\t c \r\nConnection: x-a\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n2\r\n\r\n\r\n0\r\n\r\n",
  "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n",
  "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];
const RESPONSES = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n2\r\n\r\n\r\n0\r\nX: y\r\n\r\n",
  "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nuntil the end\r\n\r\n",
];
const PARTS = [
  ..."\r\n|\r|\n|\r\n\r\n|0\r\n\r\n|1\r\nx\r\n|;|:| |\t|\0|\x7f|\xff|HTTP/1.1|Host: b\r\n|Content-Length: 5\r\n"
    .split("|"),
  ..."Transfer-Encoding: chunked\r\n|Transfer-Encoding : chunked\r\n|Content-Length: +5\r\n|GET |hello|ffffffffff"
    .split(
      "|",
    ),
];

type Change = { readonly at: number; readonly drop: number; readonly put: string };

function changed(text: string, changes: readonly Change[]): string {
  for (const { at, drop, put } of changes) {
    const from = at % (text.length + 1);
    text = text.slice(0, from) + put + text.slice(from + drop);
  }
  return text;
}

function texts(messages: readonly string[]): fc.Arbitrary<string> {
  const put = fc.oneof(fc.constantFrom(...PARTS), fc.nat(255).map((code) => String.fromCharCode(code)));
  const change = fc.record({ at: fc.nat(500), drop: fc.nat(3), put });
  const stream = fc.array(fc.constantFrom(...messages), { minLength: 1, maxLength: 4 }).map((all) =>
    all.join("")
  );
  return fc.tuple(stream, fc.array(change, { maxLength: 3 })).map(([text, changes]) =>
    changed(text, changes)
  );
}

export const requestTexts = texts(REQUESTS);
export const responseTexts = texts(RESPONSES);
/** Lengths of the pieces, repeated. */
export const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });

/** The text in pieces of these lengths, in turn. */
export function split(text: string, lengths: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = lengths[i % lengths.length] as number;
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

/** What a server connection made of the pieces; every request is answered when it has ended. */
export async function serverEvents(pieces: readonly string[], pauses: boolean): Promise<unknown> {
  const down = new Downstream();
  down.onAccept = (request) => {
    const end = request.onRequestEnd.bind(request);
    request.onRequestEnd = (trailers) => {
      end(trailers);
      request.answer("x");
    };
    if (request.ended) request.answer("x");
  };
  for (const piece of pieces) {
    if (down.wire.closed) break;
    down.send(piece);
    if (pauses) await settle();
  }
  for (let i = 0; i < 6; i++) await settle();
  down.connection.onEnd();
  await settle();
  down.connection.onClose();
  const answers = down.wire.written;
  return {
    requests: down.requests.map(({ head, body, ended, trailers, reset }) => ({
      head,
      body,
      ended,
      trailers,
      reset,
    })),
    answers: answers.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0,
    // Which of two faults is told depends on which one is met first.
    refused: /HTTP\/1\.1 [45]/.test(answers),
  };
}

/** What a client connection made of the pieces, the answer to one request. */
export function clientEvents(pieces: readonly string[], method: string): unknown {
  const up = new Upstream();
  const response = up.request({ method });
  for (const piece of pieces) if (!up.wire.closed) up.answer(piece);
  if (!up.wire.closed) up.connection.onEnd();
  const { informed, head, body, ended, trailers, reset } = response;
  if (ended === (reset !== null)) throw new Error("A response ends or is reset, one of both");
  return { informed, head, body, ended, trailers, reset };
}
