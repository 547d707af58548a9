/** Adds up what several proxies refused. */
import type { ProxyRefusals } from "../../proxy/proxy_options.ts";

export const NO_REFUSALS: ProxyRefusals = {
  downstream: { connections: 0, silent: 0, handshakes: 0, descriptors: 0 },
  upstream: { connecting: 0, descriptors: 0 },
  requests: 0,
};

export function addRefusals(a: ProxyRefusals, b: ProxyRefusals): ProxyRefusals {
  return {
    downstream: addAll(a.downstream, b.downstream),
    upstream: addAll(a.upstream, b.upstream),
    requests: a.requests + b.requests,
  };
}

function addAll<Counts extends object>(a: Counts, b: Counts): Counts {
  const names = Object.keys(a) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, Number(a[name]) + Number(b[name])])) as Counts;
}
