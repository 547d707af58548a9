/**
 * Answers as no upstream should give them, through both sidecars: a client that reads a whole answer reads one that was
 * whole, given to that very request; everything else breaks off or is the proxy's own.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import { type End, JoinedPlanes, NOTHING_HELD, Reader } from "./joined_planes.ts";
import { cluster } from "../unit/proxy/data_plane.ts";
import { retries } from "../unit/proxy/routed_plane.ts";
import { type Message, readMessages, values } from "./strict_http1.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 400);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const CLIENTS = 40;

/** What an upstream said to a request, and how it went on. */
interface Said {
  readonly method: string;
  text: string;
  ended: boolean;
}

const LINES =
  "HTTP/1.1 200 OK|HTTP/1.1 200 OK|HTTP/1.1 200 OK|HTTP/1.1 200|HTTP/1.1 201 |HTTP/1.1 204 No Content|" +
  "HTTP/1.1 304 Not Modified|HTTP/1.1 404 Not Found|HTTP/1.1 500 Oops|HTTP/1.1 503 Later|HTTP/1.1 101 Switching Protocols|" +
  "HTTP/1.0 200 OK|HTTP/1.1 099 No|HTTP/1.1 600 No|HTTP/2.0 200 OK|ICY 200 OK|HTTP/1.1  200 OK|http/1.1 200 OK|" +
  "HTTP/1.1 200 OK\x00|HTTP/1.1 200\tOK|HTTP/1.1 2000 OK|\r\nHTTP/1.1 200 OK";
const FRAMINGS =
  "Content-Length: %|Content-Length: %|Transfer-Encoding: chunked|Transfer-Encoding: chunked|none|" +
  "Content-Length: +|Content-Length: -|Content-Length: %\r\nContent-Length: %|Content-Length: %, %|Content-Length: x|" +
  "Content-Length: %\r\nTransfer-Encoding: chunked|Transfer-Encoding: gzip, chunked|Transfer-Encoding: chunked, chunked|" +
  "Transfer-Encoding : chunked|Transfer-Encoding: identity|Transfer-Encoding: chunked\r\nConnection: close|" +
  "Content-Length: %\r\nConnection: close|Content-Length: %\r\nX: a\r\n b|Content-Length: %\r\nX: a\x00b|Content-Length: %\nX: y";
const INFORMED = [
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
  "HTTP/1.1 102 \r\nContent-Length: 5\r\n\r\n",
];
const BEHIND = [
  "",
  "",
  "",
  "\r\n",
  "x",
  "HTTP/1.1 200 OK\r\nX-Id: stray\r\nContent-Length: 5\r\n\r\nstray",
  "HTTP/1.1 100 Continue\r\n\r\n",
];
const TRAILERS = [
  "",
  "",
  "X-Late: y\r\n",
  "Content-Length: 1\r\n",
  "X : y\r\n",
  "X: y\n",
  "X-Bowline-Port: 1\r\n",
];
const BYTES = ["\r", "\n", "\r\n", "\0", " ", ":", "0", "f", "\r\n\r\n"];

const TRIED_AGAIN = {
  retries: retries({ attempts: 3, retryOn: ["5xx", "reset", "retriable-4xx"], retriableStatusCodes: [404] }),
  mirrors: [{ cluster: cluster().name, percentage: 30 }],
};

/** The bodies of requests are known, however often they are sent. */
function expectWhole({ fields, body }: Message): void {
  const [size = "0"] = values(fields, "x-size");
  expect([fields, body]).toEqual([fields, "b".repeat(Number(size))]);
}

class Upstream {
  /** By the number of the request. */
  readonly said = new Map<string, Said[]>();
  /** Answers as it should. */
  honest = false;

  constructor(readonly random: Prng) {}

  one<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }

  odds(one: number): boolean {
    return this.random.below(one) === 0;
  }

  readonly accept = (end: End): WireOwner => {
    let text = "";
    let answered = 0;
    let latest: Said | null = null;
    const say = (bytes: string) => {
      if (latest !== null) latest.text += bytes;
      end.say(bytes);
    };
    // Nobody can tell it from an answer to the first request, which is on its way; nor a second one from one to the next.
    const early = !this.honest && this.odds(40);
    if (early) end.say("HTTP/1.1 200 OK\r\nX-Id: early\r\nContent-Length: 5\r\n\r\nearly");
    return {
      onData: (chunk) => {
        if (early) return end.end();
        text += chunk.toString("latin1");
        const { messages, left, begun } = readMessages(text, false);
        if (left === "fault") throw new Error(`The proxy sent what is no request: ${text}`);
        const hasty = begun !== null && messages.length === answered && !this.honest && this.odds(8);
        const requests: Pick<Message, "line" | "fields">[] = messages.slice(answered);
        if (hasty) requests.push(begun);
        for (const request of requests) {
          answered++;
          const { line: [method], fields } = request;
          if ("body" in request) expectWhole(request as Message);
          const [name = "none"] = values(fields, "x-id");
          // Nobody hears of what is answered to a copy.
          const isCopy = values(fields, "host")[0] !== "shop";
          const id = isCopy ? `copy of ${name}` : name;
          latest = { method, text: "", ended: false };
          this.said.set(id, [...this.said.get(id) ?? [], latest]);
          say(this.#answer(id, method));
          const next = this.honest ? 9 : this.random.below(12);
          if (next < 3) {
            latest.ended = true;
            end.end();
          } else if (next === 3) end.terminate();
        }
      },
      onDrain() {},
      onEnd: () => end.end(),
      onClose() {},
    };
  };

  #answer(id: string, method: string): string {
    const body = `answer to ${id}${"+".repeat(this.random.below(4) === 0 ? this.random.below(40_000) : 0)}.`;
    const line = this.honest
      ? "HTTP/1.1 200 OK"
      : this.odds(3)
      ? this.one(LINES.split("|"))
      : "HTTP/1.1 200 OK";
    const framing = this.honest || !this.odds(2) ? "Content-Length: %" : this.one(FRAMINGS.split("|"));
    const length = body.length +
      (framing.endsWith("+") ? 1 + this.random.below(9) : framing.endsWith("-") ? -1 : 0);
    const fields = framing.replace(/[+-]$/, "%").replaceAll("%", String(length));
    let text = "";
    if (!this.honest && this.odds(6)) {
      const times = this.odds(6) ? 20 : 1 + this.random.below(3);
      text += this.one(INFORMED).repeat(times);
    }
    text += `${line}\r\nX-Id: ${id}\r\n${fields === "none" ? "" : `${fields}\r\n`}\r\n`;
    const bodiless = method === "HEAD" || / (1|204|304)/.test(line);
    if (!bodiless || (!this.honest && this.odds(8))) {
      text += /chunked/i.test(fields) ? this.#chunks(body) : body;
    }
    if (this.honest) return text;
    if (this.odds(4)) text += this.one(BEHIND);
    if (this.odds(5)) {
      const at = this.random.below(Math.min(text.length, 200));
      text = text.slice(0, at) + (this.odds(3) ? "" : this.one(BYTES)) +
        text.slice(at + this.random.below(3));
    }
    return this.odds(8) ? text.slice(0, this.random.below(text.length)) : text;
  }

  #chunks(body: string): string {
    let text = "";
    for (let at = 0; at < body.length;) {
      const size = Math.min(body.length - at, 1 + this.random.below(20_000));
      const digits = this.odds(30) ? this.one([`0x${size}`, "-1", "", "fffffffffffffff"]) : size.toString(16);
      text += `${digits}${this.odds(8) ? this.one([";a=b", ";", " ", ";a\nb"]) : ""}\r\n${
        body.slice(at, at + size)
      }${this.odds(30) ? this.one(["", "\n", "xx\r\n"]) : "\r\n"}`;
      at += size;
    }
    return `${text}0\r\n${this.one(TRAILERS)}\r\n`;
  }
}

interface Asked {
  readonly id: string;
  readonly method: string;
}

/** Undefined: as it should be. */
function judge(
  asked: readonly Asked[],
  reader: Reader,
  said: ReadonlyMap<string, readonly Said[]>,
): string | undefined {
  const { messages, left } = readMessages(
    reader.text,
    reader.ended && !reader.broken,
    asked.map(({ method }) => method),
  );
  if (left === "fault") return "the client got what is no answer";
  const finals = messages.filter(({ line: [, status] }) => !status.startsWith("1"));
  for (const [i, answer] of finals.entries()) {
    const { id } = asked[i] as Asked;
    if (values(answer.fields, "x-bowline-reply").length > 0) continue;
    const wanted = JSON.stringify(essence(answer));
    if (values(answer.fields, "x-id")[0] === "early") continue;
    const given = (said.get(id) ?? []).flatMap(({ text, ended, method }) => {
      const read = readMessages(text.replace(/(^|\r\n\r\n)(\r\n)+HTTP/g, "$1HTTP"), ended, [method]);
      return read.messages.filter(({ line: [, status] }) => !status.startsWith("1")).map(essence);
    });
    if (!given.some((one) => JSON.stringify(one) === wanted)) {
      return `an answer that nobody gave: ${wanted.slice(0, 300)}`;
    }
  }
  if (finals.length < asked.length && !reader.ended) return "a request was not answered";
  return undefined;
}

function answered(asked: readonly Asked[], { text }: Reader): number {
  const { messages } = readMessages(text, false, asked.map(({ method }) => method));
  return messages.filter(({ line: [, status] }) => !status.startsWith("1")).length;
}

function essence({ line: [, status], fields, body, trailers }: Message): unknown {
  return {
    status,
    id: values(fields, "x-id"),
    body,
    trailers: trailers.filter(([name]) => !name.startsWith("x-bowline-")),
  };
}

test("a whole answer is one that the upstream gave to that request, whole", async () => {
  for (let seed = SEED; seed < SEED + RUNS / CLIENTS; seed++) {
    const random = new Prng(seed);
    const upstream = new Upstream(random);
    // With every other seed some requests are tried again, and copied.
    const mesh = new JoinedPlanes(random, upstream.accept, "http1", seed % 2 === 0 ? {} : TRIED_AGAIN);
    for (let client = 0; client < CLIENTS; client++) {
      const reader = new Reader();
      const end = mesh.client(reader);
      const asked: Asked[] = [];
      upstream.honest = client % 4 === 3;
      for (let i = 0; i < 4 && !reader.ended; i++) {
        const method = ["GET", "GET", "HEAD", "POST", "PUT"][random.below(5)] as string;
        const id = `${client}.${i}`;
        asked.push({ id, method });
        const bodiless = method === "GET" || method === "HEAD";
        const size = bodiless ? 0 : [5, 5_000, 40_000, 100_000][random.below(4)] as number;
        const head = `${method} / HTTP/1.1\r\nHost: shop\r\nX-Id: ${id}\r\nX-Size: ${size}\r\n`;
        const body = "b".repeat(size);
        if (bodiless) end.say(`${head}\r\n`);
        else if (random.below(2) === 0) end.say(`${head}Content-Length: ${size}\r\n\r\n${body}`);
        else end.say(`${head}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
        if (random.below(4) > 0) await mesh.settle();
      }
      await mesh.settle();
      // An upstream that never goes on is given up, one after the other.
      for (let i = 0; i < asked.length && !reader.ended && answered(asked, reader) < asked.length; i++) {
        await mesh.pass(310_000);
      }
      const outcome = judge(asked, reader, upstream.said);
      expect({
        seed,
        client,
        asked,
        outcome,
        text: reader.text.slice(0, 2_000),
        said: JSON.stringify([...upstream.said].slice(-4)).slice(0, 3000),
      })
        .toMatchObject({ outcome: undefined });
      if (upstream.honest) {
        expect([seed, client, answered(asked, reader)]).toEqual([seed, client, asked.length]);
      }
      end.terminate();
      await mesh.settle();
    }
    // Copies may still wait.
    await mesh.pass(310_000);
    expect({ seed, ...mesh.held }).toEqual({ seed, ...NOTHING_HELD });
  }
}, 120_000);
