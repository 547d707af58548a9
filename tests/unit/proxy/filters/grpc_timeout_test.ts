import { describe, expect, test } from "bun:test";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { grpcTimeoutMs, requestTimeoutMs } from "../../../../src/proxy/filters/grpc_timeout.ts";

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3_000],
  ["250m", 250],
  ["5000u", 5],
  ["1n", 1],
  ["0S", 1],
  ["12345678m", 12_345_678],
  ["123456789m", 0],
  ["1", 0],
  ["-1S", 0],
  ["1s", 0],
  ["", 0],
])("grpcTimeoutMs() reads %p as %d", (value, expected) => {
  expect(grpcTimeoutMs(["te", "grpc-timeout", "grpc-timeout", value])).toBe(expected);
});

describe("requestTimeoutMs()", () => {
  function ask(routeMs: number, asked: string | null, grpc = true): [number, string[]] {
    const headers = ["te", "grpc-timeout", ...asked === null ? [] : ["grpc-timeout", asked]];
    return [requestTimeoutMs(routeMs, { headers } as unknown as RequestHead, grpc), headers.slice(2)];
  }

  test("caps what a gRPC client asks for to the route's timeout, and tells the upstream", () => {
    expect(ask(1_000, "2S")).toEqual([1_000, ["grpc-timeout", "1000m"]]);
    expect(ask(1_000, "500m")).toEqual([500, ["grpc-timeout", "500m"]]);
    expect(ask(1_000, null)).toEqual([1_000, []]);
    expect(ask(0, "2S")).toEqual([2_000, ["grpc-timeout", "2S"]]);
    expect(ask(0, null)).toEqual([0, []]);
  });

  test("heeds the field in gRPC alone", () => {
    expect(ask(1_000, "500m", false)).toEqual([1_000, ["grpc-timeout", "500m"]]);
    expect(ask(0, "500m", false)).toEqual([0, ["grpc-timeout", "500m"]]);
  });
});
