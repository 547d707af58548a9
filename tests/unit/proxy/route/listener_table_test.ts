import { describe, expect, test } from "bun:test";
import type { Listener } from "../../../../src/model/snapshot.ts";
import { ListenerTable, type Member } from "../../../../src/proxy/route/listener_table.ts";
import { listener } from "../data_plane.ts";

function table(
  listeners: readonly Partial<Listener>[],
  members: Readonly<Record<string, readonly Member<string>[]>> = {},
): ListenerTable<string, string> {
  return new ListenerTable(listeners.map(listener), {
    find: (cluster) => cluster,
    members: ({ name }) => members[name] ?? [],
  });
}

/** The name of what an address leads to, and the endpoint. */
function at(listeners: ListenerTable<string, string>, address: string, port = 80): string | undefined {
  const found = listeners.byAddress(address, port);
  return found && `${found.listener.listener.name} ${found.endpoint}`;
}

describe("ListenerTable", () => {
  test("ListenerTable finds a service by its addresses, at its port alone", () => {
    const listeners = table([
      { name: "a", addresses: ["10.0.0.1", "2001:DB8::1"] },
      { name: "b", addresses: ["10.0.0.1"], port: 81 },
    ]);
    expect(at(listeners, "10.0.0.1")).toBe("a null");
    expect(at(listeners, "10.0.0.1", 81)).toBe("b null");
    expect(at(listeners, "2001:db8::1")).toBe("a null");
    expect(at(listeners, "10.0.0.1", 82)).toBeUndefined();
    expect(at(listeners, "10.0.0.2")).toBeUndefined();
  });

  test("ListenerTable takes an address before a network, and the narrowest of networks", () => {
    const listeners = table([
      { name: "any", addresses: ["0.0.0.0/0", "::/0"] },
      { name: "wide", addresses: ["10.0.0.0/8"] },
      { name: "narrow", addresses: ["10.1.0.0/16"] },
      { name: "one", addresses: ["10.1.0.1"] },
    ]);
    expect(["10.1.0.1", "10.1.0.2", "10.2.0.1", "192.0.2.1", "2001:db8::1"].map((one) => at(listeners, one)))
      .toEqual(["one null", "narrow null", "wide null", "any null", "any null"]);
    expect(at(listeners, "10.1.0.2", 81)).toBeUndefined();
  });

  test("ListenerTable finds an endpoint by its own address and port, unless that is a service's", () => {
    const member = (address: string, port: number, endpoint: string) => ({ address, port, endpoint });
    const listeners = table([{ name: "a", addresses: [] }, { name: "b", addresses: ["192.0.2.1"] }], {
      a: [
        member("192.0.2.1", 80, "taken"),
        member("192.0.2.1", 8080, "mine"),
        member("db.example", 80, "named"),
      ],
      b: [member("192.0.2.1", 8080, "later")],
    });
    expect(at(listeners, "192.0.2.1")).toBe("b null");
    expect(at(listeners, "192.0.2.1", 8080)).toBe("a mine");
    expect(at(listeners, "db.example")).toBeUndefined();
  });

  test("ListenerTable finds TLS by server name and by the port that was dialled", () => {
    const listeners = table([
      { name: "plain", port: 80, protocol: "tcp", serverNames: ["a.example"] },
      { name: "other", port: 8443, protocol: "tls", serverNames: ["a.example", "b.example"] },
      { name: "https", port: 443, protocol: "auto", serverNames: ["a.example"] },
      { name: "wild", port: 443, protocol: "tls", serverNames: ["*.example"] },
      { name: "wilder", port: 443, protocol: "tls", serverNames: ["*.deep.example"] },
    ]);
    const by = (name: string, port: number | null) => listeners.byServerName(name, port)?.listener.name;
    expect([by("a.example", 80), by("a.example", 8443), by("a.example", 9)]).toEqual([
      "plain",
      "other",
      undefined,
    ]);
    expect([by("a.example", null), by("b.example", null)]).toEqual(["https", "other"]);
    expect([by("c.example", null), by("x.deep.example", null), by("example", null)])
      .toEqual(["wild", "wilder", undefined]);
    expect(table([{ protocol: "tcp", serverNames: ["t"] }]).byServerName("t", null)).toBeUndefined();
  });

  test("ListenerTable finds what a tunnel asks for where bytes are declared, and no single endpoint", () => {
    const listeners = table([
      { name: "bytes", protocol: "tcp", serverNames: ["db.test"], addresses: ["10.0.0.1", "10.1.0.0/16"] },
      { name: "secret", protocol: "tls", serverNames: ["*.secret.test"], addresses: [] },
      { name: "unsaid", protocol: "auto", serverNames: ["unsaid.test"], addresses: ["10.0.0.2"] },
      { name: "requests", protocol: "http", serverNames: [], addresses: ["10.0.0.3"] },
    ], { bytes: [{ address: "192.0.2.1", port: 80, endpoint: "one" }] });
    const asked = (name: string, port = 80) => listeners.byAuthority(name, port)?.listener.name;
    expect(["db.test", "10.0.0.1", "10.1.2.3", "a.secret.test"].map((name) => asked(name)))
      .toEqual(["bytes", "bytes", "bytes", "secret"]);
    expect(asked("db.test", 81)).toBeUndefined();
    for (const name of ["unsaid.test", "10.0.0.2", "10.0.0.3", "192.0.2.1", "else.test"]) {
      expect(asked(name)).toBeUndefined();
    }
  });
});
