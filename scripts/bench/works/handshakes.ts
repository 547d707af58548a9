/** New connections with mutual TLS: full handshakes with the service's proxy, up to its first frame of HTTP/2. */
import { readFileSync } from "node:fs";
import { connect } from "../../../src/runtime/socket.ts";
import type { TlsMaterial } from "../../../src/runtime/tls_options.ts";
import type { TlsWireOwner, Wire } from "../../../src/runtime/wire.ts";
import { identityFiles, type Pair } from "../pair.ts";
import { compare, type Work } from "../work.ts";

/** Handshakes under way at any time. */
const CONCURRENCY = 8;
/** Preface and empty SETTINGS: only a server that has accepted our certificate answers them. */
const HELLO = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");

export const handshakes: Work = {
  name: "handshakes",
  async run(bench) {
    const { certificate, roots } = identityFiles(bench.directory, "caller");
    // One PEM holds both; each reader takes its part.
    const pem = readFileSync(certificate, "utf8");
    const tls = { chain: pem, key: pem, roots: readFileSync(roots, "utf8") };
    const comparison = {
      work: "new mTLS connections",
      unit: "1/CPU s",
      digits: 0,
      better: "more",
      goal: "≥ 0.7",
    } as const;
    return [
      await compare(bench, comparison, async (pair) => {
        const [, service] = pair.proxies;
        const before = service.cpuSeconds();
        const done = await shakeHands(pair, tls, bench.seconds);
        return done / (service.cpuSeconds() - before);
      }),
    ];
  },
};

/** Opens and closes connections for so long; returns how many a server accepted. */
async function shakeHands(pair: Pair, tls: TlsMaterial, seconds: number): Promise<number> {
  const deadline = performance.now() + seconds * 1_000;
  let done = 0;
  const lane = async () => {
    while (performance.now() < deadline) {
      await shakeHand(pair, tls);
      done++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  return done;
}

function shakeHand({ name, mesh: { address, port } }: Pair, tls: TlsMaterial): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = () => reject(new Error(`${name} refused a connection with mutual TLS`));
    connect({ hostname: address, port }, { ...tls, alpn: ["h2"] }, {
      opened(wire: Wire): TlsWireOwner {
        return {
          onHandshake: () => void wire.write(HELLO),
          onData() {
            resolve();
            wire.end();
          },
          onDrain() {},
          onEnd: () => wire.end(),
          onClose: refused,
        };
      },
      failed: reject,
    });
  });
}
