import { describe, expect, test } from "bun:test";
import {
  CLIENT_HELLO_BYTES_MAX,
  ClientHelloReader,
  type HelloVerdict,
} from "../../../../src/proxy/listener/client_hello.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";
import { counted, extension, message, records, serverName } from "./hello_parts.ts";

function read(bytes: Uint8Array): [HelloVerdict, string | null] {
  const reader = new ClientHelloReader();
  return [reader.read(bytes), reader.serverName];
}

/** The same in two reads, the first of them with this many bytes. */
function readSplit(bytes: Uint8Array, at: number): [HelloVerdict, HelloVerdict, string | null] {
  const reader = new ClientHelloReader();
  return [reader.read(bytes.subarray(0, at)), reader.read(bytes), reader.serverName];
}

describe("ClientHelloReader", () => {
  test.each(
    [
      ["bun", "api.shop.example"],
      ["bunWithoutName", null],
      ["openssl13", "store"],
      ["openssl12", "legacy.example"],
      ["curl", "www.example.com"],
      ["opensslWithoutName", null],
    ] as const,
  )("ClientHelloReader reads the name that %s asks for, wherever it is split", (client, name) => {
    const hello = CLIENT_HELLOS[client];
    expect(read(hello)).toEqual(["complete", name]);
    for (let at = 1; at < hello.length; at++) {
      expect([at, ...readSplit(hello, at)]).toEqual([at, "partial", "complete", name]);
    }
    const reader = new ClientHelloReader();
    const verdicts = Array.from(hello, (_, index) => reader.read(hello.subarray(0, index + 1)));
    expect(verdicts.indexOf("complete")).toBe(hello.length - 1);
    expect(reader.serverName).toBe(name);
  });

  test("ClientHelloReader joins a hello from many records, down to a byte each", () => {
    const whole = message(extension(21, Buffer.alloc(300)), serverName("many.example"));
    for (const size of [1, 2, 3, 4, 5, 100, whole.length]) {
      expect(read(records(whole, size))).toEqual(["complete", "many.example"]);
    }
    expect(read(records(message(extension(21, Buffer.alloc(40_000)), serverName("big.example")))))
      .toEqual(["complete", "big.example"]);
  });

  test("ClientHelloReader takes hellos up to its limit, and no longer ones", () => {
    const hello = (length: number) => records(message(serverName("a"), extension(21, Buffer.alloc(length))));
    const most = CLIENT_HELLO_BYTES_MAX - hello(50_000).length + 50_000;
    expect(hello(most).length).toBe(CLIENT_HELLO_BYTES_MAX);
    expect(read(hello(most))).toEqual(["complete", "a"]);
    expect(read(hello(most + 1))).toEqual(["malformed", null]);
    // It is told by its own length, before all of it is there.
    const endless = records(Buffer.concat([Buffer.from([1, 0x0f, 0xff, 0xff]), Buffer.alloc(100)]));
    expect(read(endless)[0]).toBe("malformed");
  });

  test("ClientHelloReader knows by the first six bytes what is no TLS", () => {
    const hello = CLIENT_HELLOS.openssl13;
    for (const at of [0, 1, 5]) {
      const other = Buffer.from(hello);
      other[at] = 0x47;
      expect(read(other.subarray(0, at + 1))[0]).toBe("not-tls");
      expect(read(other.subarray(0, at))[0]).toBe("partial");
    }
    expect(read(Buffer.from("GET / HTTP/1.1\r\n"))[0]).toBe("not-tls");
  });

  test.each([
    ["a record without content", Buffer.concat([records(message()).subarray(0, 3), Buffer.from([0, 0, 1])])],
    ["a record that is too long", Buffer.from([22, 3, 1, 0x40, 0x01, 1])],
    ["another kind of record in between", spoilt(records(message(), 20), 25, 23)],
    ["a length that leads out of it", spoilt(records(message()), 5 + 4 + 34, 255)],
    [
      "extensions shorter than said",
      records(Buffer.concat([message().subarray(0, -2), Buffer.from([0, 9])])),
    ],
    ["two names", records(message(serverName("a"), serverName("b")))],
    ["an empty name", records(message(serverName("")))],
    ["a name with a zero in it", records(message(serverName("good.example\0.evil.example")))],
    ["a name with a space in it", records(message(serverName("a b")))],
    ["a name that is too long", records(message(serverName(`${"a".repeat(63)}.`.repeat(4) + "a")))],
    [
      "a list of names that is cut off",
      records(message(extension(0, counted(2, Buffer.from([0, 0, 9, 97]))))),
    ],
    ["an empty list of names", records(message(extension(0, Buffer.from([0, 0]))))],
  ])("ClientHelloReader finds malformed: %s", (_what, bytes) => {
    expect(read(bytes)).toEqual(["malformed", null]);
  });

  test("ClientHelloReader writes names as routes have them", () => {
    expect(read(records(message(serverName("WWW.Example.COM."))))[1]).toBe("www.example.com");
    expect(read(records(message(serverName("a_b-c.example"))))[1]).toBe("a_b-c.example");
    expect(read(records(message(serverName(`${"a".repeat(62)}.`.repeat(4) + "aaa"))))[0]).toBe("complete");
  });
});

function spoilt(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value;
  return bytes;
}
