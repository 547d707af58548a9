/** Health by a connection (Kubernetes `tcpSocket`): that it comes about is good, and nothing is said in it. */
import type { ProbeMethod } from "../../model/health_probe.ts";
import { connect, NOBODY } from "../../runtime/socket.ts";
import type { CheckContext } from "./check.ts";

type TcpMethod = Extract<ProbeMethod, { type: "tcp" }>;

export function checkTcp(
  { host, port }: TcpMethod,
  timeoutMs: number,
  { workloadAddress, clock }: CheckContext,
): Promise<string | null> {
  return new Promise((resolve) => {
    const cancel = clock.after(timeoutMs, () => resolve("no connection came about in time"));
    connect({ hostname: host ?? workloadAddress, port }, null, {
      opened(wire) {
        cancel();
        resolve(null);
        wire.end();
        return NOBODY;
      },
      failed() {
        cancel();
        resolve("nobody accepts connections there");
      },
    });
  });
}
