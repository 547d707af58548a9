/** Health by a connection (Kubernetes `tcpSocket`): that it comes about is good, and nothing is said in it. */
import type { ProbeMethod } from "../../model/health_probe.ts";
import { connect } from "../../runtime/socket.ts";
import { NOBODY } from "../../runtime/wire.ts";
import type { CheckContext } from "./check_context.ts";
import { notConnected } from "../not_connected.ts";

type TcpMethod = Extract<ProbeMethod, { type: "tcp" }>;

export function checkTcp(
  { host, port }: TcpMethod,
  timeoutMs: number,
  { workloadAddress, clock }: CheckContext,
): Promise<string | null> {
  return new Promise((resolve) => {
    const cancel = clock.after(timeoutMs, () => resolve("no connection came about in time"));
    const hostname = host ?? workloadAddress;
    connect({ hostname, port }, null, {
      opened(wire) {
        cancel();
        resolve(null);
        wire.end();
        return NOBODY;
      },
      failed() {
        cancel();
        resolve(notConnected(hostname));
      },
    });
  });
}
