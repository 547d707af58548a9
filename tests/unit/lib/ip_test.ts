import { describe, expect, test } from "bun:test";
import { formatIp, Network, parseIp } from "../../../src/lib/ip.ts";

function canonical(text: string): string | null {
  const bytes = parseIp(text);
  return bytes === null ? null : formatIp(bytes);
}

describe("parseIp(), formatIp()", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8::", "2001:db8::"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1:0:0:4:0:0:0:8", "1:0:0:4::8"],
    ["10:0:0:0:0:0:0:10", "10::10"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
  ])("give %p one form: %p", (text, form) => {
    expect(canonical(text)).toBe(form);
  });

  test.each([
    "",
    "a",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4.5",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
  ])(
    "parseIp() takes no %p",
    (text) => expect(parseIp(text)).toBeNull(),
  );

  test.each(["1:2:3:4:5:6:7::8", "12345::", "g::", "1.2.3.4::", "::1.2.3", "fe80::1%eth0", "10.0.0.1:80"])(
    "parseIp() takes no %p",
    (text) => expect(parseIp(text)).toBeNull(),
  );
});

describe("Network", () => {
  test.each([
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::a00:0"]],
    ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.6"]],
    ["0.0.0.0/0", ["1.2.3.4"], ["::1"]],
    ["2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::"]],
    ["::/0", ["::1", "2001:db8::"], ["1.2.3.4"]],
  ])("Network %p contains %p and not %p", (text, inside, outside) => {
    const network = Network.parse(text) as Network;
    const contains = (address: string) => network.contains(parseIp(address) as Uint8Array);
    expect(inside.map(contains)).toEqual(inside.map(() => true));
    expect(outside.map(contains)).toEqual(outside.map(() => false));
  });

  test.each(["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "x/8"])(
    "Network.parse() takes no %p",
    (text) => expect(Network.parse(text)).toBeNull(),
  );
});
