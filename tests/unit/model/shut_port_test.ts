import { expect, test } from "bun:test";
import { readShutPorts, SHUT_PORT_REASON_LENGTH_MAX, SHUT_PORTS_MAX } from "../../../src/model/shut_port.ts";

const shut = (port: number, reason = "it is taken") => ({ port, reason });

test("readShutPorts() keeps so many ports and so much of a reason, and nothing else that came with it", () => {
  const ports = Array.from({ length: SHUT_PORTS_MAX }, (_, i) => shut(i + 1));
  expect(readShutPorts(ports)).toEqual(ports);
  expect(readShutPorts([...ports, shut(SHUT_PORTS_MAX + 1)])).toEqual(ports);
  const reason = "r".repeat(SHUT_PORT_REASON_LENGTH_MAX);
  expect(readShutPorts([shut(1, reason), { ...shut(2, `${reason}r`), more: 1 }])).toEqual([
    shut(1, reason),
    shut(2, reason),
  ]);
});

test("readShutPorts() refuses what is no list of ports", () => {
  for (const value of [undefined, null, {}, [null], [1], [{ port: 1 }], [{ port: "1", reason: "" }]]) {
    expect(readShutPorts(value)).toBeUndefined();
  }
});
