/** Answers say when they were made (RFC 9110 §6.6.1), in each version of HTTP. */
import { describe, expect, test } from "bun:test";
import type { HeaderList } from "../../../src/proxy/exchange.ts";
import { HpackDecoder } from "../../../src/proxy/http2/hpack/decoder.ts";
import { settle } from "./fake_wire.ts";
import { Downstream } from "./http1/downstream.ts";
import { Http2Downstream } from "./http2/downstream.ts";
import { decodeList } from "./http2/hpack/field_list.ts";
import { FrameLog, get, HEADERS, headers } from "./http2/raw_frames.ts";

const BEGIN = "Thu, 01 Jan 1970 00:00:00 GMT";
const ITS_OWN = "Sun, 06 Nov 1994 08:49:37 GMT";

describe.each<[string, (answer: HeaderList) => Promise<string[]>]>([
  ["HTTP/1.1", datesOfHttp1],
  ["HTTP/2", datesOfHttp2],
])("an answer in %s", (_version, datesOf) => {
  test("is given a date if it has none", async () => {
    expect(await datesOf([])).toEqual([BEGIN]);
    expect(await datesOf(["x-date", ITS_OWN])).toEqual([BEGIN]);
  });

  test("keeps its own", async () => {
    expect(await datesOf(["date", ITS_OWN])).toEqual([ITS_OWN]);
  });
});

test("1xx have none, what comes later has the time of then", async () => {
  const down = new Downstream();
  down.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  down.last.stream.inform(103, []);
  await settle();
  expect(down.wire.dated).toBe("HTTP/1.1 103 Early Hints\r\n\r\n");
  down.clock.advance(61_000);
  down.last.answer("ok");
  await settle();
  expect(down.wire.dated).toContain("\r\ndate: Thu, 01 Jan 1970 00:01:01 GMT\r\n");
});

test("what grants a CONNECT has one, as any 2xx, and 101 has none", async () => {
  const down = new Downstream();
  down.send("CONNECT a:5432 HTTP/1.1\r\nHost: a:5432\r\n\r\n");
  down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
  await settle();
  expect(down.wire.dated).toBe(`HTTP/1.1 200 OK\r\ndate: ${BEGIN}\r\n\r\n`);
  const upgrading = new Downstream();
  upgrading.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  upgrading.last.stream.respond({ status: 101, headers: [], bodyLength: -1 });
  await settle();
  expect(upgrading.wire.dated).toBe(
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
  );
});

test("so do those of the codec", async () => {
  const down = new Downstream();
  down.send("nonsense\r\n\r\n");
  await settle();
  expect(down.wire.dated).toStartWith(`HTTP/1.1 400 Bad Request\r\ndate: ${BEGIN}\r\n`);
});

async function datesOfHttp1(answer: HeaderList): Promise<string[]> {
  const down = new Downstream();
  down.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  down.last.stream.respond({ status: 200, headers: answer, bodyLength: 0 });
  await settle();
  return [...down.wire.dated.matchAll(/^date: (.*)\r$/gm)].map(([, date]) => date as string);
}

async function datesOfHttp2(answer: HeaderList): Promise<string[]> {
  const down = await Http2Downstream.greeted();
  down.send(headers(1, get(), true));
  down.last.stream.inform(103, []);
  down.last.stream.respond({ status: 200, headers: answer, bodyLength: 0 });
  await settle();
  const decoder = new HpackDecoder();
  const blocks = new FrameLog().cut(down.wire.take()).filter(({ type }) => type === HEADERS);
  expect(blocks).toHaveLength(2);
  return blocks.flatMap(({ payload }) => {
    const list = decodeList(decoder, payload);
    return typeof list === "string" ? [list] : list.filter((_, i) => i % 2 === 1 && list[i - 1] === "date");
  });
}
