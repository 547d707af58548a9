/**
 * Requests as smugglers write them, through both sidecars: the workload gets exactly those that a strict reader finds in
 * the same bytes, each once, and nobody gets another one's answer.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import { type End, JoinedPlanes, NOTHING_HELD, Reader } from "./joined_planes.ts";
import { type Message, readMessages, values } from "./strict_http1.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 1_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** Clients of one mesh, which share what it keeps. */
const CLIENTS = 50;

/** Reads strictly, remembers, and answers each request with its number. */
class Workload {
  readonly seen: Message[] = [];
  readonly faults: string[] = [];

  constructor(readonly random: Prng) {}

  readonly accept = (end: End): WireOwner => {
    let text = "";
    let answered = 0;
    return {
      onData: (chunk) => {
        text += chunk.toString("latin1");
        const { messages, left } = readMessages(text, false);
        if (left === "fault") this.faults.push(text);
        for (const message of messages.slice(answered)) {
          answered++;
          this.seen.push(message);
          end.say(this.#answer(message));
        }
      },
      onDrain() {},
      onEnd: () => end.end(),
      onClose() {},
    };
  };

  #answer({ line: [method], fields, body }: Message): string {
    const [id = "none"] = values(fields, "x-id");
    const text = method === "HEAD" ? "" : `${id}:${body.length}`;
    const head = `HTTP/1.1 200 OK\r\nx-id: ${id}\r\n`;
    if (this.random.below(2) === 0) {
      return `${head}content-length: ${text.length || 3}\r\n\r\n${text}`;
    }
    return method === "HEAD"
      ? `${head}transfer-encoding: chunked\r\n\r\n`
      : `${head}transfer-encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
  }
}

const METHODS = [
  "GET",
  "GET",
  "POST",
  "POST",
  "PUT",
  "HEAD",
  "DELETE",
  "PATCH",
  "OPTIONS",
  "get",
  "M-SEARCH",
];
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: shop\r\nX-Id: smuggled\r\n\r\n";
const BODIES = ["", "a", "hello", "0\r\n\r\n", SMUGGLED, `0\r\n\r\n${SMUGGLED}`, `\r\n${SMUGGLED}`];
const LENGTHS =
  "Content-Length: %|Content-Length:%|content-length: % |Content-Length: %, %|Content-Length: +%|" +
  "Content-Length: 0%|Content-Length : %|Content-Length:\x0b%|Content_Length: %|Content-Length: %\r\nContent-Length: %|" +
  "Content-Length: 0\r\nContent-Length: %|Content-Length: -%|Content-Length: 0x%|Content-Length: 9999999999999999999|" +
  "X: y\r\n Content-Length: %|Content-Length: %\r\nConnection: content-length|Content-Length: %;a";
const CODINGS = "Transfer-Encoding: chunked|transfer-encoding:chunked|Transfer-Encoding: Chunked|" +
  "Transfer-Encoding: chunked, identity|Transfer-Encoding: identity|Transfer-Encoding: gzip, chunked|" +
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked|Transfer-Encoding : chunked|Transfer-Encoding:\x0bchunked|" +
  'Transfer-Encoding: xchunked|Transfer-Encoding: "chunked"|Transfer-Encoding:\r\n chunked|Transfer_Encoding: chunked|' +
  "Transfer-Encoding: chunked;q=1|X: y\nTransfer-Encoding: chunked|Transfer-Encoding: chunked\r\nContent-Length: 5|" +
  "Transfer-Encoding: chunked\r\nConnection: transfer-encoding|Transfer-Encoding: ,chunked|Transfer-Encoding:|TE: chunked|" +
  "Transfer-Encoding: chunked\xa0|Transfer-Encoding\x00: chunked|Foo: bar\r\n\tTransfer-Encoding: chunked";
const FIELDS =
  "Host: shop|Host: shop|Host: other|host:shop|Host : shop|Connection: close|Connection: keep-alive|" +
  "Connection: x-empty|Expect: 100-continue|Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk|" +
  "X: a\x00b|X: a\rb|X: a\nb|X\t: y|: y|X|X[0]: y|X: \xe9|Trailer: X-Late|TE: trailers|Max-Forwards: 0|X-Empty:|" +
  "X-Bowline-Port: 22|Cookie: a=b|Range: bytes=0-0|Proxy-Connection: keep-alive|Keep-Alive: timeout=5|Content-Length: 0";
const EXTENSIONS = [
  "",
  "",
  "",
  "",
  ";a=b",
  ';a="b"',
  " ;a",
  " ",
  ";\r",
  ";a\nb",
  "\t",
  ";" + "x".repeat(300),
];
const TRAILERS = [
  "",
  "",
  "",
  "X-Late: y\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "X : y\r\n",
  "Host: other\r\n",
  " X: y\r\n",
  "X-Bowline-Port: 22\r\n",
  "Authorization: x\r\n",
  "X: y\n",
];
const BYTES = ["\r", "\n", "\r\n", "\0", " ", "\t", ":", ";", "\x7f", "\x80", "0", "f", "\r\n\r\n", "\r\n "];

class Smuggler {
  constructor(readonly random: Prng) {}

  one<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }

  odds(one: number): boolean {
    return this.random.below(one) === 0;
  }

  /** Requests one behind the other, of which the first has this number. */
  pipeline(first: number): string {
    let text = "";
    const count = 1 + this.random.below(4);
    for (let i = 0; i < count; i++) text += this.request(first + i);
    for (let changes = this.odds(4) ? 1 + this.random.below(2) : 0; changes > 0; changes--) {
      const at = this.random.below(text.length);
      text = text.slice(0, at) + (this.odds(3) ? "" : this.one(BYTES)) +
        text.slice(at + this.random.below(3));
    }
    return this.odds(10) ? text.slice(0, this.random.below(text.length)) : text;
  }

  request(id: number): string {
    const method = this.one(METHODS);
    const version = this.odds(10)
      ? this.one(["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "])
      : "HTTP/1.1";
    const target = this.odds(8)
      ? this.one([
        "http://shop/$",
        "HTTP://shop:80/$?a",
        "http://other/$",
        "$",
        "/$#f",
        "*",
        "http:///$",
        "/$?//shop",
        "/$ x",
      ])
      : "/$";
    const lines = [`${method} ${target.replace("$", String(id))} ${version}`];
    if (!this.odds(20)) {
      lines.push(this.odds(12) ? this.one(["Host: shop:80", "HOST:shop", "Host: shop "]) : "Host: shop");
    }
    lines.push(`X-Id: ${id}`);
    const body = this.one(BODIES);
    let sent = "";
    const framing = method === "GET" || method === "HEAD" ? this.random.below(5) - 2 : this.random.below(3);
    if (framing === 1) {
      lines.push(
        (this.odds(3) ? this.one(LENGTHS.split("|")) : "Content-Length: %").replaceAll(
          "%",
          String(body.length),
        ),
      );
      sent = body;
    } else if (framing === 2) {
      lines.push(this.odds(3) ? this.one(CODINGS.split("|")) : "Transfer-Encoding: chunked");
      sent = this.#chunks(body);
    } else if (this.odds(12)) sent = body;
    for (let more = this.random.below(3); more > 0 && this.odds(2); more--) {
      lines.push(this.one(FIELDS.split("|")));
    }
    return `${lines.join("\r\n")}\r\n\r\n${sent}`;
  }

  #chunks(body: string): string {
    let text = "";
    for (let at = 0; at < body.length;) {
      const size = 1 + this.random.below(body.length - at);
      const digits = this.odds(25)
        ? this.one([`0x${size}`, `-${size}`, `+${size}`, "", " 1", "ffffffffffffffff"])
        : size.toString(16);
      text += `${digits}${this.odds(4) ? this.one(EXTENSIONS) : ""}${this.odds(50) ? "\n" : "\r\n"}`;
      text += `${body.slice(at, at + size)}${this.odds(50) ? this.one(["\n", "", "\r", "x\r\n"]) : "\r\n"}`;
      at += size;
    }
    return `${text}${this.odds(30) ? "00" : "0"}\r\n${this.odds(2) ? this.one(TRAILERS) : ""}\r\n`;
  }
}

/** What must be the same in a request as the client sent it and as the workload got it. */
function essence({ line: [method, target], fields, body, trailers }: Message): unknown {
  const path = target.replace(/^https?:\/\/[^/?]+/i, "");
  return {
    method,
    path: path === "" ? method === "OPTIONS" ? "*" : "/" : path,
    id: values(fields, "x-id"),
    body,
    trailers: trailers.filter(([name]) =>
      !/^(x-bowline-|connection$|te$|keep-alive$|upgrade$|proxy-c|authorization$)/.test(name)
    ),
  };
}

interface Case {
  readonly sent: string;
  readonly answers: string;
  readonly ended: boolean;
  readonly seen: readonly Message[];
}

/** Undefined: as it should be. */
function judge({ sent, answers, ended, seen }: Case): string | undefined {
  const said = readMessages(sent, false);
  let next = 0;
  for (const message of seen) {
    const wanted = JSON.stringify(essence(message));
    while (
      next < said.messages.length && JSON.stringify(essence(said.messages[next] as Message)) !== wanted
    ) next++;
    if (next === said.messages.length) return `the workload got what nobody sent: ${wanted}`;
    next++;
  }
  const methods = said.messages.map(({ line: [method] }) => method);
  const heard = readMessages(answers, ended, said.left === "nothing" ? methods : [...methods, "GET"]);
  if (heard.left === "fault") return "the client got what is no answer";
  const finals = heard.messages.filter(({ line: [, status] }) => !status.startsWith("1"));
  for (const [i, { line: [, status], fields }] of finals.entries()) {
    const request = said.messages[i];
    const last = i === finals.length - 1;
    // The proxy's own answer may come before the body, and whatever that turns out to be.
    const own = values(fields, "x-bowline-reply").length > 0;
    if (request === undefined) {
      if (!ended || !last || values(fields, "connection")[0] !== "close") return "no end after no request";
      if (!own && !/^(400|408|413|414|417|431|501|505)$/.test(status)) return `refused with ${status}`;
    } else if (status !== "200") {
      if (!/^(4|5)/.test(status)) return `answered ${status}`;
    } else if (!own && values(fields, "x-id")[0] !== (values(request.fields, "x-id")[0] ?? "none")) {
      return "another one's answer";
    }
  }
  if (said.left === "fault" && !ended) return "no request left the connection open";
  if (said.left === "nothing" && !ended && finals.length < said.messages.length) {
    return "a request was not answered";
  }
  return undefined;
}

test(
  "what a strict reader finds in a client's bytes reaches the workload, once and as it is, and nothing else",
  async () => {
    for (let seed = SEED; seed < SEED + RUNS / CLIENTS; seed++) {
      const random = new Prng(seed);
      const workload = new Workload(random);
      const mesh = new JoinedPlanes(random, workload.accept);
      const smuggler = new Smuggler(random);
      for (let client = 0; client < CLIENTS; client++) {
        const sent = smuggler.pipeline(client * 10);
        const reader = new Reader();
        const end = mesh.client(reader);
        workload.seen.length = 0;
        for (let at = 0; at < sent.length;) {
          const size = random.below(3) === 0 ? 1 + random.below(20) : sent.length;
          end.say(sent.slice(at, at + size));
          at += size;
          if (random.below(2) === 0) await mesh.settle();
        }
        await mesh.settle();
        const outcome = judge({ sent, answers: reader.text, ended: reader.ended, seen: workload.seen });
        expect({ seed, client, sent, answers: reader.text, outcome, faults: workload.faults }).toMatchObject({
          outcome: undefined,
          faults: [],
        });
        if (random.below(2) === 0) end.terminate();
        else end.end();
        await mesh.settle();
      }
      expect({ seed, ...mesh.held }).toEqual({ seed, ...NOTHING_HELD });
    }
  },
  120_000,
);
