/** The soak: all kinds of traffic at once, one fault a minute, and nothing but what the fault explains. */
import type { Bowline } from "../../../tests/integration/bowline.ts";
import { startFaulty } from "../../../tests/integration/faulty_upstream.ts";
import { bundleServer, GrpcClient, GrpcServer, ORDERS } from "../../../tests/integration/grpc_peers.ts";
import { Load, Tally } from "../../../tests/integration/keep_alive_client.ts";
import { descriptors, rssMib } from "../../../tests/integration/process_figures.ts";
import { service } from "../../../tests/integration/resources.ts";
import {
  answerTo,
  databaseTunnel,
  sendBytes,
  startChat,
  startDatabase,
  webSocket,
} from "../../../tests/integration/tunnel_peers.ts";
import { atMost, type Check, exactly, type Row } from "../row.ts";
import { Stand, STORE_PORTS, storeAnswer } from "../stand.ts";

/** Between two faults. */
const FAULT_EVERY_MS = { full: 60_000, small: 1_000 };
/** What memory may grow by from the end of the first round of faults. */
const GROWTH_MIB_MAX = 20;
const DESCRIPTORS_GROWTH_MAX = 20;
const TRANSFER_BYTES = 1024 * 1024;
const PAUSE_MS = 20;
const CALL_MS = 10_000;

/** What is done to the mesh; the callers must not notice, unless `costly`: what it had in its hands is lost. */
interface Fault {
  readonly name: string;
  readonly costly?: true;
  strike(stand: Stand): Promise<void>;
}

const FAULTS: readonly Fault[] = [
  {
    name: "a sidecar is killed",
    costly: true,
    async strike(stand) {
      await (stand.stores[1] as Bowline).end("SIGKILL");
      await stand.restartStore(1);
      await stand.mesh.untilSynced(1 + stand.replicas);
    },
  },
  {
    name: "an edit",
    async strike(stand) {
      stand.write(service(`more-${Date.now()}`));
      await stand.mesh.untilSynced(1 + stand.replicas);
    },
  },
  {
    name: "a bad edit",
    async strike(stand) {
      stand.mesh.write("bad.yaml", "kind: [");
      await stand.mesh.controlPlane.says("bad.yaml");
      stand.mesh.write("bad.yaml", "");
    },
  },
  {
    name: "the control plane restarts",
    async strike(stand) {
      await stand.mesh.controlPlane.end("SIGKILL");
      await stand.startControlPlane();
      await stand.mesh.untilSynced(1 + stand.replicas);
    },
  },
  {
    name: "the upstream resets",
    async strike(stand) {
      const resets = await startFaulty(stand.storeAddress(), STORE_PORTS.closing, (socket) => {
        socket.resetAndDestroy();
      });
      const tally = await new Load(stand.target("closing"), { clients: 8 }).start(100).over();
      await resets.stop();
      if (tally.get(503) !== tally.total) throw new Error(`Resets are to be answered 503, not ${tally}`);
    },
  },
  {
    name: "a sidecar restarts",
    async strike(stand) {
      await (stand.stores[0] as Bowline).end();
      await stand.restartStore(0);
      await stand.mesh.untilSynced(1 + stand.replicas);
    },
  },
];

export const soak: Row = {
  name: "soak",
  what: "mixed traffic with one fault after the other",
  async run(size, { minutes }) {
    const stand = await Stand.up({ replicas: 2 });
    const traffic = await Traffic.start(stand);
    try {
      const faults = size === "full"
        ? Math.max(FAULTS.length, Math.floor(minutes * 60_000 / FAULT_EVERY_MS.full))
        : FAULTS.length;
      const everyMs = size === "full" ? minutes * 60_000 / faults : FAULT_EVERY_MS.small;
      let explained = 0;
      let before: Figures | null = null;
      for (let i = 0; i < faults; i++) {
        const fault = FAULTS[i % FAULTS.length] as Fault;
        await Bun.sleep(everyMs);
        const failed = traffic.failed;
        await fault.strike(stand);
        if (fault.costly) await traffic.settled();
        console.error(`  ${fault.name}: ${traffic.failed - failed} failed`);
        if (fault.costly) explained += traffic.failed - failed;
        // Everything has been done once.
        if (i === Math.floor(faults / 2)) before = figures(stand);
      }
      await Bun.sleep(everyMs);
      const after = figures(stand);
      const tallies = await traffic.stop();
      return [
        ...tallies.map(([what, tally]): Check => ({
          what,
          bar: "told below",
          measured: String(tally),
          ok: tally.get(200) > 0,
        })),
        exactly(
          `errors that none of ${faults} faults explains, besides ${explained}`,
          traffic.failed - explained,
          0,
        ),
        atMost(
          "memory, growth in the second half",
          after.mib - (before as Figures).mib,
          GROWTH_MIB_MAX,
          "MiB",
        ),
        atMost(
          "descriptors, growth in the second half",
          after.open - (before as Figures).open,
          DESCRIPTORS_GROWTH_MAX,
        ),
      ];
    } finally {
      await traffic.stop();
      await stand.down();
    }
  },
};

interface Figures {
  readonly mib: number;
  readonly open: number;
}

/** Of the caller's sidecar, the one that lives all the time. */
function figures({ client }: Stand): Figures {
  return { mib: rssMib(client), open: descriptors(client) };
}

/** HTTP/1, gRPC, WebSocket and TCP at the same time. */
class Traffic {
  readonly #http: Load;
  readonly #tallies: readonly (readonly [string, Tally])[];
  readonly #rounds: Promise<unknown>;
  readonly #close: () => Promise<void>;
  readonly #underWay = new Map<string, Promise<unknown>>();
  #stopped = false;

  static async start(stand: Stand): Promise<Traffic> {
    const program = await bundleServer(stand.mesh.directory);
    const addresses = Array.from({ length: stand.replicas }, (_, replica) => stand.storeAddress(replica));
    const grpc = await Promise.all(
      addresses.map((address) => GrpcServer.start(program, `${address}:${STORE_PORTS.grpc}`)),
    );
    const chats = addresses.map((address) => startChat(address, STORE_PORTS.ws));
    const databases = await Promise.all(
      addresses.map((address) => startDatabase(address, STORE_PORTS["tcp-db"])),
    );
    return new Traffic(stand, async () => {
      for (const chat of chats) chat.stop(true);
      for (const database of databases) database.stop();
      await Promise.all(grpc.map((server) => server.kill()));
    });
  }

  private constructor(stand: Stand, close: () => Promise<void>) {
    this.#close = close;
    this.#http = new Load(stand.target(), { clients: 8, pauseMs: () => PAUSE_MS, expected: storeAnswer })
      .start();
    const client = new GrpcClient(stand.clientAddress, stand.target("grpc").host);
    const calls = {
      gRPC: async () => (await client.call(ORDERS.echo, "hello")).code === 0,
      WebSocket: async () => {
        const socket = await webSocket(stand.target("ws"), "/chat");
        const answer = await answerTo(socket, "hello");
        socket.onclose = null;
        socket.close();
        return answer === "hello";
      },
      TCP: async () => {
        const { socket, heard } = await databaseTunnel(stand.target("tcp-db"));
        const hash = await sendBytes(socket, TRANSFER_BYTES);
        return (await heard).start === `${TRANSFER_BYTES} ${hash}\n`;
      },
    };
    const tallies = Object.entries(calls).map(([what, call]) => [what, new Tally(), call] as const);
    this.#tallies = [["HTTP/1", this.#http.tally], ...tallies.map(([what, tally]) => [what, tally] as const)];
    this.#rounds = Promise.all(tallies.map(([what, tally, call]) => this.#repeat(what, tally, call)))
      .finally(() => client.close());
  }

  get failed(): number {
    return this.#tallies.reduce((sum, [, tally]) => sum + tally.failed, 0);
  }

  async stop(): Promise<readonly (readonly [string, Tally])[]> {
    if (this.#stopped) return this.#tallies;
    this.#stopped = true;
    await Promise.all([this.#http.stop(), this.#rounds]);
    await this.#close();
    return this.#tallies;
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  async #repeat(what: string, tally: Tally, call: () => Promise<boolean>): Promise<void> {
    while (!this.#stopped) {
      const outcome = this.#once(what, call);
      this.#underWay.set(what, outcome);
      tally.add(await outcome);
      await Bun.sleep(PAUSE_MS);
    }
  }

  /** A call that neither ends nor fails is lost as well, and must not keep the row from ending. */
  #once(what: string, call: () => Promise<boolean>): Promise<200 | "broken" | "lost"> {
    const outcome = call().then((whole) => whole ? 200 : "broken" as const, () => "lost" as const);
    const over = Bun.sleep(CALL_MS).then(() => null);
    return Promise.race([outcome, over]).then((ended) => {
      if (ended === null) console.error(`  ${what}: a call did not end within ${CALL_MS} ms`);
      return ended ?? "lost";
    });
  }
}
