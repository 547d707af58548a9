/** Health by an HTTP request (Kubernetes `httpGet`): a status from 200 to 399 is good, wherever it would lead. */
import { formatAuthority } from "../../lib/authority.ts";
import { type HeaderList, headerValue } from "../../proxy/exchange.ts";
import type { ProbeMethod } from "../../model/health_probe.ts";
import { singleCall } from "../single_call.ts";
import type { CheckContext } from "./check_context.ts";

type HttpMethod = Extract<ProbeMethod, { type: "http" }>;

/** Of a body that nobody looks at; with a longer one the connection is cut (Kubernetes' limit). */
const ANSWER_BYTES_MAX = 10 * 1024;

const USER_AGENT = "bowline-probe";

/** Rejects with what is wrong. */
export async function checkHttp(
  method: HttpMethod,
  timeoutMs: number,
  { workloadAddress, clock, wheel }: CheckContext,
): Promise<string | null> {
  const { port, path, tls } = method;
  const hostname = method.host ?? workloadAddress;
  const written: HeaderList = method.headers.flat();
  const headers = written.filter((_, index) => written[index - index % 2] !== "host");
  if (headerValue(headers, "user-agent") === undefined) headers.push("user-agent", USER_AGENT);
  const authority = headerValue(written, "host") ?? formatAuthority({ hostname, port });
  const { status } = await singleCall({
    address: { hostname, port },
    tls,
    protocol: "http1",
    head: { method: "GET", scheme: tls ? "https" : "http", authority, path, headers, bodyLength: 0 },
    until: "head",
    bytesMax: ANSWER_BYTES_MAX,
    timeoutMs,
    clock,
    wheel,
  });
  return status >= 200 && status < 400 ? null : `it answered ${status}`;
}
