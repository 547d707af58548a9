/**
 * Requests as smugglers write them, through both sidecars: the workload gets exactly those that a strict reader finds in
 * the same bytes, each once, and nobody gets another one's answer.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import { type End, JoinedPlanes, NOTHING_HELD, Reader } from "./joined_planes.ts";
import { Smuggler } from "./smuggler.ts";
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
