import { describe, expect, test } from "bun:test";
import type { TappedCall } from "../../../src/model/tap.ts";
import { golden } from "../../golden.ts";
import { TAPPED } from "../telemetry/tapped.ts";
import { withAdminServer } from "./admin_server.ts";
import { bowline } from "./bowline.ts";

const GRPC = { protocol: "grpc", method: "POST", path: "/shop.Orders/Get" } as const;

const CALLS: readonly TappedCall[] = [
  TAPPED,
  { ...TAPPED, reporter: "source", verdict: null, durationMs: 123.4 },
  {
    ...TAPPED,
    path: "/admin\u001b[2J",
    status: 403,
    details: "rbac_access_denied_matched_policy[none]",
    verdict: { allowed: false, policy: null, rule: null, file: null, line: null },
  },
  {
    ...TAPPED,
    status: 403,
    verdict: { allowed: false, policy: "shop/no-admin", rule: 2, file: "web.yaml", line: 31 },
  },
  { ...TAPPED, status: 503, flags: "UF,URX", source: "unknown", mtls: false, verdict: null },
  { ...TAPPED, ...GRPC, grpcStatus: 0 },
  { ...TAPPED, ...GRPC, grpcStatus: 5 },
  { ...TAPPED, ...GRPC },
  { ...TAPPED, protocol: "tcp", method: "", authority: "", path: "", status: 0, requestBytes: 20 },
];

/** Runs it against a control plane that tells of these lines and ends. */
function tap(calls: readonly unknown[], ...args: string[]) {
  return tapped([{ watching: true, connected: true }, ...calls], ...args);
}

async function tapped(lines: readonly unknown[], ...args: string[]) {
  const asked: string[] = [];
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const result = await withAdminServer((request) => {
    const { pathname, search } = new URL(request.url);
    asked.push(pathname + search);
    return new Response(body);
  }, (data) => bowline(["tap", ...args, "--data", data]));
  return { ...result, asked };
}

describe("runTap()", () => {
  test("prints a line for each call, and says when the control plane ends", async () => {
    const { exitCode, stdout, stderr, asked } = await tap([...CALLS, { omitted: 7 }]);
    golden("cli/tap.txt", stdout);
    expect(stderr.split("\n").slice(0, 3)).toEqual([
      "Watching all workloads; Ctrl-C ends",
      "7 calls were too many to show",
      "Error: The control plane ended",
    ]);
    expect([exitCode, asked]).toEqual([69, ["/v1/tap"]]);
  });

  test.each<[string, string[]]>([
    ["Watching all workloads, but no proxy is connected yet; Ctrl-C ends", []],
    ["Watching shop/web, but it is not connected yet; Ctrl-C ends", ["shop/web"]],
  ])("says %p where nobody is there to tell", async (text, args) => {
    const { stderr } = await tapped([{ watching: true, connected: false }], ...args);
    expect(stderr.split("\n")[0]).toBe(text);
  });

  test("asks for one workload, and ends after so many calls", async () => {
    const { exitCode, stdout, asked } = await tap(CALLS, "shop/web", "--count", "2");
    expect([exitCode, stdout.trimEnd().split("\n").length]).toEqual([0, 2]);
    expect(asked).toEqual(["/v1/tap?workload=shop%2Fweb"]);
  });

  test("leaves out what went well", async () => {
    const { stdout } = await tap(CALLS, "--failed", "--count", "5", "-o", "json");
    const calls = stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as TappedCall);
    expect(calls.map(({ status, grpcStatus }) => grpcStatus ?? status)).toEqual([403, 403, 503, 5, 200]);
  });

  test("prints YAML documents", async () => {
    const { stdout } = await tap(CALLS, "--count", "1", "-o", "yaml");
    expect(stdout).toStartWith("---\ntimeMs: ");
  });
});
