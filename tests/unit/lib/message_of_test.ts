import { expect, test } from "bun:test";
import { messageOf } from "../../../src/lib/message_of.ts";

class ControlPlaneUnreachable extends Error {
  override readonly name = "ControlPlaneUnreachable";
}

test("messageOf() is the sentence of an error, whatever its class, and else whatever there is", () => {
  expect(messageOf(new ControlPlaneUnreachable("nobody accepts connections there")))
    .toBe("nobody accepts connections there");
  expect(messageOf(new RangeError(""))).toBe("RangeError");
  expect(messageOf("a word")).toBe("a word");
});
