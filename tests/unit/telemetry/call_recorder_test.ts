import { describe, expect, test } from "bun:test";
import {
  RECORDED_CALLS_MAX,
  RECORDED_TEXT_LENGTH_MAX,
  type RecordedCall,
} from "../../../src/model/recorded_call.ts";
import { CallRecorder, RECORDED_CALLS_PER_PRINCIPAL_MAX } from "../../../src/telemetry/call_recorder.ts";

const FRONT = {
  principal: "cluster.local/ns/shop/sa/front",
  caller: "shop/front",
  address: "10.0.0.3",
  port: 8080,
};
const REQUEST = { ...FRONT, protocol: "http", method: "GET", authority: "web:8080", path: "/a" } as const;

describe("CallRecorder", () => {
  test("counts calls that are alike together, without their query", () => {
    const recorder = new CallRecorder();
    const front = recorder.caller(FRONT);
    front.recordRequest("GET", "web:8080", "/a?x=1", true);
    front.recordRequest("GET", "web:8080", "/a", true);
    front.recordRequest("GET", "WEB:8080", "/a", false);
    expect(recorder.takeReport()).toEqual({ calls: [{ ...REQUEST, allowed: 2, refused: 1 }], omitted: 0 });
  });

  test("tells apart methods, authorities, paths, ports, protocols and callers", () => {
    const recorder = new CallRecorder();
    const front = recorder.caller(FRONT);
    front.recordRequest("GET", "web:8080", "/a", true);
    front.recordRequest("PUT", "web:8080", "/a", true);
    front.recordRequest("PUT", "web", "/a", true);
    front.recordRequest("PUT", "web", "/b", true);
    front.recordConnection(true);
    recorder.caller({ ...FRONT, port: 9090 }).recordRequest("GET", "web:8080", "/a", true);
    recorder.caller({ ...FRONT, principal: "" }).recordRequest("GET", "web:8080", "/a", true);
    recorder.caller({ ...FRONT, caller: "shop/front-2" }).recordRequest("GET", "web:8080", "/a", true);
    expect(recorder.takeReport().calls).toHaveLength(8);
  });

  test("gives differences, with the address that the last call came from", () => {
    const recorder = new CallRecorder();
    recorder.caller(FRONT).recordRequest("GET", "web:8080", "/a", true);
    recorder.takeReport();
    expect(recorder.takeReport()).toEqual({ calls: [], omitted: 0 });
    recorder.caller({ ...FRONT, address: "10.0.0.9" }).recordRequest("GET", "web:8080", "/a", true);
    expect(recorder.takeReport().calls).toMatchObject([{ address: "10.0.0.9", allowed: 1, refused: 0 }]);
  });

  test("only counts what is beyond the room of a principal, so that others have theirs", () => {
    const recorder = new CallRecorder();
    const front = recorder.caller(FRONT);
    for (let i = 0; i <= RECORDED_CALLS_PER_PRINCIPAL_MAX; i++) {
      front.recordRequest("GET", "web", `/${i}`, true);
    }
    recorder.caller({ ...FRONT, principal: "cluster.local/ns/shop/sa/cart" }).recordConnection(true);
    const { calls, omitted } = recorder.takeReport();
    expect([calls.length, omitted]).toEqual([RECORDED_CALLS_PER_PRINCIPAL_MAX + 1, 1]);
  });

  test("only counts what is beyond the room of all", () => {
    const recorder = new CallRecorder();
    for (let i = 0; i <= RECORDED_CALLS_MAX; i++) {
      recorder.caller({ ...FRONT, principal: `cluster.local/ns/shop/sa/${i}` }).recordConnection(true);
    }
    const { calls, omitted } = recorder.takeReport();
    expect([calls.length, omitted]).toEqual([RECORDED_CALLS_MAX, 1]);
    expect(recorder.takeReport().omitted).toBe(0);
  });

  test("keeps no text that is too long", () => {
    const recorder = new CallRecorder();
    const front = recorder.caller(FRONT);
    front.recordRequest("GET", "web", `/${"a".repeat(RECORDED_TEXT_LENGTH_MAX - 1)}`, true);
    front.recordRequest("GET", "web", `/${"a".repeat(RECORDED_TEXT_LENGTH_MAX)}`, true);
    const { calls, omitted } = recorder.takeReport();
    expect([calls.length, omitted]).toEqual([1, 1]);
  });

  test("absorbs what another process of the proxy told", () => {
    const [there, here] = [new CallRecorder(), new CallRecorder()];
    for (const recorder of [there, here]) recorder.caller(FRONT).recordRequest("GET", "web:8080", "/a", true);
    there.omit(3);
    here.absorb(there.takeReport());
    const call: RecordedCall = { ...REQUEST, allowed: 2, refused: 0 };
    expect(here.takeReport()).toEqual({ calls: [call], omitted: 3 });
  });
});
