/** A port that is declared no more is served for a moment, and then forgotten. */
import { expect, test } from "bun:test";
import { ClosingPorts, PORT_CLOSES_AFTER_MS } from "../../../src/proxy/closing_ports.ts";
import type { InboundService } from "../../../src/proxy/inbound_service.ts";

const service = (name: string) => ({ name }) as unknown as InboundService;
const WEB = service("web");
const DB = service("db");
const BOTH = new Map([[80, WEB], [5432, DB]]);
const ONE = new Map([[80, WEB]]);

test("ClosingPorts has what was declared before and is not now, for a while", () => {
  const closing = new ClosingPorts(ONE, BOTH, null, 1_000);
  expect(closing.get(5432, 1_000 + PORT_CLOSES_AFTER_MS - 1)).toBe(DB);
  expect(closing.get(5432, 1_000 + PORT_CLOSES_AFTER_MS)).toBeUndefined();
  expect(closing.get(80, 1_000)).toBeUndefined();
  expect([...closing.services()]).toEqual([DB]);
});

test("ClosingPorts gives a port no more time when something else changes, and holds none that is over", () => {
  const first = new ClosingPorts(ONE, BOTH, null, 0);
  const second = new ClosingPorts(ONE, ONE, first, PORT_CLOSES_AFTER_MS - 1);
  expect(second.get(5432, PORT_CLOSES_AFTER_MS - 1)).toBe(DB);
  expect(second.get(5432, PORT_CLOSES_AFTER_MS)).toBeUndefined();
  expect([...new ClosingPorts(ONE, ONE, second, PORT_CLOSES_AFTER_MS).services()]).toEqual([]);
});

test("ClosingPorts holds none that is declared again, and gives it its time when it goes once more", () => {
  const gone = new ClosingPorts(ONE, BOTH, null, 0);
  const back = new ClosingPorts(BOTH, ONE, gone, 1_000);
  expect([...back.services()]).toEqual([]);
  const again = new ClosingPorts(ONE, BOTH, back, 2_000);
  expect(again.get(5432, 2_000 + PORT_CLOSES_AFTER_MS - 1)).toBe(DB);
});
