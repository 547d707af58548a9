/** Requests as smugglers write them, by chance: mostly whole, with what readers disagree about. */
import type { Prng } from "../../src/lib/prng.ts";

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

export class Smuggler {
  /** `host`: for whom the requests are. */
  constructor(readonly random: Prng, readonly host = "shop") {}

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
    const body = this.one(BODIES).replaceAll("shop", this.host);
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
    return `${lines.join("\r\n").replaceAll("shop", this.host)}\r\n\r\n${sent}`;
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
