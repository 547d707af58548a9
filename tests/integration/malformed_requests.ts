/** Requests that are none, as they come over a wire, and odd ones that are: for a host `store` (RFC 9110, RFC 9112). */

/** What it is called, what is sent, the status that comes back. @default 400 */
export type MalformedRequest = readonly [name: string, request: string, status?: number];

const HOST = "Host: store\r\n";
const CHUNKED = "Transfer-Encoding: chunked";

/** A GET with more lines in its head. */
export function get(...lines: readonly string[]): string {
  return `GET / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
}

/** A POST with these lines in its head, and this body. */
function post(lines: readonly string[], body: string): string {
  return `POST / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
}

/** A POST whose body is this, chunks and all. */
function chunks(body: string): string {
  return post([CHUNKED], body);
}

/** What a smuggler hides in another request. */
export const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;

const LINES: readonly MalformedRequest[] = [
  ["noise", "\x00\x01\x02\x03\xff\xfe\r\n\r\n"],
  ["a word", "hello\r\n\r\n"],
  ["a method alone", "GET\r\n\r\n"],
  ["HTTP/0.9", `GET /\r\n${HOST}\r\n`],
  ["a line feed before the line", `\nGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a carriage return before the line", `\rGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a line of blanks before the line", ` \r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a byte order mark before the line", `\xef\xbb\xbfGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["two blanks before the target", `GET  / HTTP/1.1\r\n${HOST}\r\n`],
  ["two blanks before the version", `GET /  HTTP/1.1\r\n${HOST}\r\n`],
  ["a blank before the method", ` GET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a blank behind the version", `GET / HTTP/1.1 \r\n${HOST}\r\n`],
  ["a blank in the target", `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
  ["a tab for a blank", `GET\t/\tHTTP/1.1\r\n${HOST}\r\n`],
  ["a line feed for a blank", `GET /\nHTTP/1.1\r\n${HOST}\r\n`],
  ["a version in lower case", `GET / http/1.1\r\n${HOST}\r\n`],
  ["a version of two figures", `GET / HTTP/1.10\r\n${HOST}\r\n`],
  ["a version with a zero before it", `GET / HTTP/01.1\r\n${HOST}\r\n`],
  ["a version without its minor", `GET / HTTP/1\r\n${HOST}\r\n`],
  ["a version with a blank in it", `GET / HTTP/ 1.1\r\n${HOST}\r\n`],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ["HTTP/2.0 in a line", `GET / HTTP/2.0\r\n${HOST}\r\n`, 505],
  ["a preface of HTTP/2 that breaks off", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505],
  ["a method that is no token", `G(T / HTTP/1.1\r\n${HOST}\r\n`],
  ["a method with an octet above ASCII", `G\xc9T / HTTP/1.1\r\n${HOST}\r\n`],
  ["a method that never ends", `${"A".repeat(100_000)} / HTTP/1.1\r\n${HOST}\r\n`],
  ["a method longer than a request line", `${"A".repeat(17_000)} / HTTP/1.1\r\n${HOST}\r\n`],
  ["a request line that never ends", `GET /${"a".repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`, 414],
];

const TARGETS: readonly MalformedRequest[] = [
  ["a target without a slash", `GET index HTTP/1.1\r\n${HOST}\r\n`],
  ["an asterisk for GET", `GET * HTTP/1.1\r\n${HOST}\r\n`],
  ["an asterisk and more", `OPTIONS *x HTTP/1.1\r\n${HOST}\r\n`],
  ["a fragment in the target", `GET /#top HTTP/1.1\r\n${HOST}\r\n`],
  ["a control character in the target", `GET /\x01 HTTP/1.1\r\n${HOST}\r\n`],
  ["a carriage return in the target", `GET /a\rb HTTP/1.1\r\n${HOST}\r\n`],
  ["a byte above ASCII in the target", `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`],
  ["a target of another scheme", `GET ftp://store/ HTTP/1.1\r\n${HOST}\r\n`],
  ["a target without a host", `GET http:///x HTTP/1.1\r\n${HOST}\r\n`],
  ["a target with a port and no host", `GET http://:8080/x HTTP/1.1\r\n${HOST}\r\n`],
  ["a target with a user", `GET http://me@store/ HTTP/1.1\r\n${HOST}\r\n`],
  ["a target whose host ends in a backslash", `GET http://store\\x HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT to a path", `CONNECT / HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT to a URL", `CONNECT http://store:8080/ HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT without a port", `CONNECT store HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT with an empty port", `CONNECT store: HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT without a host", `CONNECT :8080 HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT with a body", `CONNECT store:8080 HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\na`],
];

const HOSTS: readonly MalformedRequest[] = [
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["no Host, but one in the target", "GET http://store/ HTTP/1.1\r\n\r\n"],
  ["two Hosts", get("Host: store")],
  ["two Hosts, and another one in the target", `GET http://store/ HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ...[
    ["a path", "store/path"],
    ["a query", "store?x"],
    ["a fragment", "store#x"],
    ["a scheme", "http://store"],
    ["a user", "me@store"],
    ["a port that is none", "store:http"],
    ["a port with a sign", "store:+80"],
    ["two ports", "store:80:80"],
    ["a port alone", ":8080"],
    ["a blank", "store other"],
    ["an escape", "st%6fre"],
    ["a backslash", "store\\x"],
    ["an octet above ASCII", "store\xe9"],
    ["an open bracket", "[::1"],
    ["an address and a name", "[::1]store"],
    ["two names", "store, other"],
  ].map(([what, host]): MalformedRequest => [
    `a Host with ${what}`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ]),
];

const FIELDS: readonly MalformedRequest[] = [
  ["a blank before the colon", get("X-A : b")],
  ["a tab before the colon", get("X-A\t: b")],
  ["a no-break space before the colon", get("Content-Length\xa0: 5")],
  ["a line without a colon", get("nonsense")],
  ["a field without a name", get(": value")],
  ["a colon alone", get(":")],
  ["a name that is no token", get("X[A]: b")],
  ["a name with an octet above ASCII", get("X-\xe9: b")],
  ["a folded line", get("X-A: b", " continued")],
  ["a folded first line", `GET / HTTP/1.1\r\n X-A: b\r\n${HOST}\r\n`],
  ["a folded Host", "GET / HTTP/1.1\r\nHost:\r\n store\r\n\r\n"],
  ["a line of blanks", get("X-A: b", " ", "X-B: c")],
  ["a NUL in a value", get("X-A: a\x00b")],
  ["a bell in a value", get("X-A: a\x07b")],
  ["a carriage return in a value", get("X-A: a\rb")],
  ["a carriage return behind a value", get("X-A: a\r")],
  ["a carriage return before a name", get("\rX-A: a")],
  ["a line feed in a value", get(`X-A: a\nX-B: b`)],
  ["a line feed before a name", get("\nX-A: a")],
  ["lines that end in LF alone", `GET / HTTP/1.1\nHost: store\n\n`],
  ["lines that end in CR alone", `GET / HTTP/1.1\rHost: store\r\n\r\n`],
  ["one line that ends in LF alone", `GET / HTTP/1.1\r\nHost: store\nX-A: b\r\n\r\n`],
];

const LENGTHS: readonly MalformedRequest[] = [
  ["a length and chunks", post(["Content-Length: 5", CHUNKED], "0\r\n\r\n")],
  ["chunks and a length", post([CHUNKED, "Content-Length: 0"], "0\r\n\r\n")],
  [
    "a length that is said to be of the hop, and chunks",
    post(["Content-Length: 5", CHUNKED, "Connection: content-length"], "0\r\n\r\n"),
  ],
  ["two lengths that differ", post(["Content-Length: 5", "Content-Length: 6"], "hello")],
  ["two lengths, the first of which is empty", post(["Content-Length:", "Content-Length: 5"], "hello")],
  ["two lengths in one", post(["Content-Length: 5, 6"], "hello")],
  ...[
    ["a negative length", "-5"],
    ["a negative nought for a length", "-0"],
    ["a length with a sign", "+5"],
    ["a length in hexadecimal", "0x5"],
    ["a length in octal", "0o5"],
    ["a length with an underscore", "0_5"],
    ["a length in two words", "0 5"],
    ["a length with a point", "5.0"],
    ["a length with an exponent", "5e0"],
    ["a length in quotes", '"5"'],
    ["a length with a comma behind it", "5,"],
    ["a length in other figures", "\u0665"],
    ["a length with a vertical tab", "\x0b5"],
    ["a length with a no-break space", "5\xa0"],
    ["an empty length", ""],
    ["a length beyond all numbers", "9".repeat(30)],
    ["a length that is 5 in 64 bits", "18446744073709551621"],
  ].map(([name = "", length]): MalformedRequest => [name, post([`Content-Length: ${length}`], "hello")]),
];

const CODINGS: readonly MalformedRequest[] = [
  ["a coding that tells no end", post(["Transfer-Encoding: gzip"], "hello")],
  ["a coding below the chunks", post(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"), 501],
  ["identity below the chunks", post(["Transfer-Encoding: identity, chunked"], "0\r\n\r\n"), 501],
  ["chunked twice", post([CHUNKED, CHUNKED], "0\r\n\r\n")],
  ["chunked, and nothing", post([CHUNKED, "Transfer-Encoding:"], "0\r\n\r\n")],
  ["chunked, and identity", post([CHUNKED, "Transfer-Encoding: identity"], "0\r\n\r\n")],
  ["a folded coding", post(["Transfer-Encoding:", " chunked"], "0\r\n\r\n")],
  ["a coding behind a line feed", post(["X-A: b\nTransfer-Encoding: chunked"], "0\r\n\r\n")],
  ["a name in two lines", post(["Transfer-", "Encoding: chunked"], "0\r\n\r\n")],
  ["chunks in HTTP/1.0", `POST / HTTP/1.0\r\n${HOST}${CHUNKED}\r\n\r\n0\r\n\r\n`],
  ...[
    ...["\x0bchunked", "chunked\x0b", "\x0cchunked", "chunked\x00", "chunked\xa0", "\x85chunked"],
    ...['"chunked"', "'chunked'", "xchunked", "chunked x", "x chunked", "chunked;q=1", "chunk", "identity"],
    ...["chunked, chunked", "chunked, identity", "chunked, gzip", "chunked,", ",chunked", "", ","],
  ].flatMap((coding): MalformedRequest[] => [
    [`the coding ${JSON.stringify(coding)}`, post([`Transfer-Encoding: ${coding}`], "0\r\n\r\n")],
    [
      `the coding ${JSON.stringify(coding)} and a length`,
      post([`Transfer-Encoding: ${coding}`, "Content-Length: 5"], "0\r\n\r\n"),
    ],
  ]),
];

const CHUNKS: readonly MalformedRequest[] = [
  ...["five", "+5", "-5", "0x5", "5_0", "5.0", " 5", "5 ", "5 5", "", '"5"', "\xb5"].map(
    (size): MalformedRequest => [
      `the chunk size ${JSON.stringify(size)}`,
      chunks(`${size}\r\nhello\r\n0\r\n\r\n`),
    ],
  ),
  ["a chunk size beyond all numbers", chunks("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size that is 5 in 64 bits", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n")],
  ["a size line that never ends", chunks(`5;${"a".repeat(1_000)}\r\nhello\r\n0\r\n\r\n`)],
  ["a size line that ends in LF", chunks("5\nhello\r\n0\r\n\r\n")],
  ["a size line that ends in CR", chunks("5\rhello\r\n0\r\n\r\n")],
  ["a size line that ends in two CRs", chunks("5\r\r;AB\r\n34\r\n0\r\n\r\n")],
  ["a last size line that ends in LF", chunks("5\r\nhello\r\n0\n\r\n")],
  ["a chunk longer than its size", chunks("3\r\nhello\r\n0\r\n\r\n")],
  ["a chunk that ends in two other octets", chunks("5\r\nhelloXX0\r\n\r\n")],
  ["a chunk that ends in LF alone", chunks("5\r\nhello\n0\r\n\r\n")],
  ["a chunk that ends in LF CR", chunks("5\r\nhello\n\r0\r\n\r\n")],
  ["a chunk without its end", chunks("5\r\nhello0\r\n\r\n")],
  ["an empty line between chunks", chunks("5\r\nhello\r\n\r\n0\r\n\r\n")],
  ["an extension that ends in LF", chunks(`2;\nxx\r\n30\r\n0\r\n\r\n${SMUGGLED}\r\n0\r\n\r\n`)],
  ["an LF within an extension", chunks("5;a\nb\r\nhello\r\n0\r\n\r\n")],
  ["an LF within quotes", chunks('5;a="\n"\r\nhello\r\n0\r\n\r\n')],
  ["the end of the line within quotes", chunks(`5;a="\r\n0\r\n\r\n${SMUGGLED}"\r\n0\r\n\r\n`)],
  ["an extension without a name", chunks("5;\r\nhello\r\n0\r\n\r\n")],
  ["a last extension without a name", chunks("5\r\nhello\r\n0;\r\n\r\n")],
  ["an extension of two words", chunks("5;a b\r\nhello\r\n0\r\n\r\n")],
  ["a NUL within an extension", chunks("5;a\0\r\nhello\r\n0\r\n\r\n")],
  ["the end of the body in LF", chunks("5\r\nhello\r\n0\r\n\n")],
  ...[
    ["a length", "Content-Length: 5"],
    ["a coding", CHUNKED],
    ["a Host", "Host: other"],
    ["a blank before the colon", "X-A : b"],
    ["a folded line", "X-A: b\r\n c"],
    ["a line feed", "X-A: b\nX-B: c"],
    ["a NUL", "X-A: \0"],
    ["no colon", "X-A"],
  ].map(([what, trailer]): MalformedRequest => [
    `${what} among the trailers`,
    chunks(`0\r\n${trailer}\r\n\r\n`),
  ]),
];

/** Heads that are too large, but not behind another proxy: it may have added to them. */
export const TOO_LARGE: readonly MalformedRequest[] = [
  ["101 fields", get(...Array.from({ length: 101 }, (_, i) => `x-${i}: ${i}`)), 431],
  ["a head of 70 KiB", get(`X-A: ${"a".repeat(70_000)}`), 431],
  ["a name of 70 KiB", get(`${"a".repeat(70_000)}: b`), 431],
];

export const MALFORMED_REQUESTS: readonly MalformedRequest[] = [
  ...[...LINES, ...TARGETS, ...HOSTS, ...FIELDS, ...LENGTHS, ...CODINGS, ...CHUNKS],
];

/** What it is called, what is sent, the length of the body that the workload gets. @default 0 */
export const ODD_REQUESTS: readonly (readonly [name: string, request: string, bodyBytes?: number])[] = [
  ["empty lines before it", `\r\n\r\n${get()}`],
  ["another host in the target", "GET http://store/ HTTP/1.1\r\nHost: other\r\n\r\n"],
  ["names in capitals", `GET / HTTP/1.1\r\nHOST: store\r\nX-A: b\r\n\r\n`],
  ["every letter of a token", get("!#$%&'*+-.^_`|~09aZ: b")],
  ["no blank behind the colon", "GET / HTTP/1.1\r\nHost:store\r\n\r\n"],
  ["tabs and blanks around a value", get("X-A:\t \tb\t ")],
  ["an empty value", get("X-A:")],
  ["octets above ASCII in a value", get("X-A: \xe9\xff")],
  ["a Host that is said to be of the hop", get("Connection: host")],
  [
    "an upgrade to HTTP/2",
    get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"),
  ],
  ["an upgrade without its connection option", get("Upgrade: websocket")],
  ["a body by length of a GET", get(`Content-Length: ${SMUGGLED.length}`) + SMUGGLED, SMUGGLED.length],
  ["a body by length of a DELETE", `DELETE / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`, 5],
  ["a body in chunks of a GET", get(CHUNKED) + "5\r\nhello\r\n0\r\n\r\n", 5],
  ["an empty body in chunks", chunks("0\r\n\r\n")],
  [
    "a length that is said to be of the hop",
    post(["Connection: content-length", "Content-Length: 5"], "hello"),
    5,
  ],
  [
    "chunks that are said to be of the hop",
    post(["Connection: transfer-encoding", CHUNKED], "5\r\nhello\r\n0\r\n\r\n"),
    5,
  ],
  [
    "lookalikes of framing fields",
    post(["Content_Length: 9", "Transfer_Encoding: chunked", "Content-Length: 5"], "hello"),
    5,
  ],
  ["a request in a body by length", post([`Content-Length: ${SMUGGLED.length}`], SMUGGLED), SMUGGLED.length],
  ["a length with a nought before it", post(["Content-Length: 005"], "hello"), 5],
  ["a coding in capitals", post(["TRANSFER-ENCODING: CHUNKED"], "5\r\nhello\r\n0\r\n\r\n"), 5],
  ["chunk sizes in capitals", chunks("A\r\n0123456789\r\n0\r\n\r\n"), 10],
  ["chunk sizes with noughts before them", chunks("005\r\nhello\r\n000\r\n\r\n"), 5],
  ["extensions", chunks('5;a;b=c ; d = "e;\\"f"\r\nhello\r\n0;x\r\n\r\n'), 5],
  ["trailers", chunks("5\r\nhello\r\n0\r\nX-A: b\r\nX-B:\r\n\r\n"), 5],
  ["a request in a trailer", chunks("5\r\nhello\r\n0\r\nX:GET /smuggled HTTP/1.1\r\n\r\n"), 5],
  ["an expectation, and the body at once", post(["Expect: 100-continue", "Content-Length: 5"], "hello"), 5],
  ["an expectation without a body", get("Expect: 100-continue")],
  ["an empty line behind the body", post(["Content-Length: 5"], "hello\r\n"), 5],
];
