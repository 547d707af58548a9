/** What an answer says about the endpoint. */
import { describe, expect, test } from "bun:test";
import { answerOutcome, outcomeFollows } from "../../../../../src/proxy/cluster/health/answer_outcome.ts";

describe("answerOutcome", () => {
  test.each([
    ["0", 200],
    ["5", 404],
    ["12", 501],
    ["13", 500],
    ["14", 503],
    ["16", 401],
    ["17", 500],
    ["x", 500],
  ])("answerOutcome() takes grpc-status %s for %d", (grpcStatus, expected) => {
    expect(answerOutcome(200, ["grpc-status", grpcStatus])).toBe(expected);
  });

  test("answerOutcome() is HTTP's status without one", () => {
    expect(answerOutcome(502, ["x", "y"])).toBe(502);
  });
});

describe("outcomeFollows", () => {
  test("outcomeFollows() when the head brings no status of the call", () => {
    expect(outcomeFollows(200, [])).toBe(true);
    expect(outcomeFollows(200, ["grpc-status", "0"])).toBe(false);
    expect(outcomeFollows(503, [])).toBe(false);
  });
});
