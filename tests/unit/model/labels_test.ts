import { describe, expect, test } from "bun:test";
import { hasLabels, mayBeOne } from "../../../src/model/labels.ts";

describe("hasLabels()", () => {
  test("hasLabels() wants all that is asked for, and nothing else", () => {
    const labels = { app: "web", version: "v1" };
    expect(hasLabels(labels, { version: "v1" })).toBe(true);
    expect(hasLabels(labels, {})).toBe(true);
    expect(hasLabels(labels, { app: "web", version: "v2" })).toBe(false);
    expect(hasLabels(labels, { app: "web", track: "v1" })).toBe(false);
  });

  test("hasLabels() takes no label from what every object has", () => {
    expect(hasLabels({}, { constructor: "" })).toBe(false);
  });
});

describe("mayBeOne()", () => {
  test("mayBeOne() holds unless both have a label with different values", () => {
    expect(mayBeOne({ app: "web" }, { version: "v1" })).toBe(true);
    expect(mayBeOne({ app: "web" }, { app: "web", version: "v1" })).toBe(true);
    expect(mayBeOne({ app: "web" }, { app: "shop" })).toBe(false);
    expect(mayBeOne({ constructor: "a" }, {})).toBe(true);
  });
});
