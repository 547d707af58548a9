/**
 * Kills: short tunnels of every kind, again and again, while one process after the other is killed under them, at any
 * moment of a handshake, an upgrade or a transfer. Whoever is left must hear of it, and nobody keep what nobody uses.
 */
import { type Bowline, until } from "../../../tests/integration/bowline.ts";
import { bundleServer, GrpcServer } from "../../../tests/integration/grpc_peers.ts";
import { descriptors, metric } from "../../../tests/integration/process_figures.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { atMost, type Row } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";
import { EchoProgram } from "../echo_program.ts";
import { ShortTunnels } from "../short_tunnels.ts";

const KILLS = { full: 200, small: 8 };
const SEED = 1;
/** Between two kills: the tunnels of before have ended, or are in the middle of it. */
const PAUSE_MS_MAX = 400;
/** A process that stands still before it is killed has peers that wait for its next word. */
const STILL_MS_MAX = 80;
/** Connections that pools keep. */
const DESCRIPTORS_GROWTH_MAX = 20;

export const kills: Row = {
  name: "kills",
  what: "processes are killed under tunnels of every kind",
  async run(size) {
    const stand = await Stand.up();
    const victims = await Victims.start(stand);
    try {
      const quiet = descriptors(stand.stores[0] as Bowline);
      const tunnels = new ShortTunnels(stand, SEED);
      const random = new Prng(SEED);
      for (let i = 0; i < KILLS[size]; i++) {
        await Bun.sleep(random.below(PAUSE_MS_MAX));
        await victims.kill(i, random.below(2) * random.below(STILL_MS_MAX));
        // Else the next kill, of the sidecar that holds a tunnel open, would end it.
        await tunnels.settled();
      }
      const before = tunnels.whole;
      await until("tunnels stand again", () => tunnels.whole > before + 20);
      await tunnels.stop();
      await until("the sidecars have let go of all", async () => await standing(stand) === 0);
      return [
        ...tunnels.checks(),
        atMost(
          "descriptors of the store's sidecar, more than at first",
          descriptors(stand.stores[0] as Bowline) - quiet,
          DESCRIPTORS_GROWTH_MAX,
        ),
      ];
    } finally {
      await victims.stop();
      await stand.down();
    }
  },
};

/** TCP connections through the mesh that have begun and not ended, for both sidecars. */
async function standing(stand: Stand): Promise<number> {
  let sum = 0;
  for (const address of [stand.clientAddress, stand.storeAddress()]) {
    sum += await metric(address, "istio_tcp_connections_opened_total") -
      await metric(address, "istio_tcp_connections_closed_total");
  }
  return sum;
}

/** What is killed, in turn: the callee's sidecar, its programs, and the caller's sidecar. */
class Victims {
  readonly #stand: Stand;
  readonly #program: string;
  #echo: EchoProgram;
  #grpc: GrpcServer;

  static async start(stand: Stand): Promise<Victims> {
    const program = await bundleServer(stand.mesh.directory);
    return new Victims(stand, program, await EchoProgram.start(stand), await startGrpc(stand, program));
  }

  private constructor(stand: Stand, program: string, echo: EchoProgram, grpc: GrpcServer) {
    this.#stand = stand;
    this.#program = program;
    this.#echo = echo;
    this.#grpc = grpc;
  }

  /** Stops the process first for so long, if for any time, and starts it again afterwards. */
  async kill(turn: number, stillMs: number): Promise<void> {
    const stand = this.#stand;
    const still = async (pid: number) => {
      if (stillMs === 0) return;
      process.kill(pid, "SIGSTOP");
      await Bun.sleep(stillMs);
    };
    switch (turn % 4) {
      case 0: {
        const store = stand.stores[0] as Bowline;
        await still(store.pid);
        await store.end("SIGKILL");
        return await stand.restartStore(0);
      }
      case 1:
        await still(this.#echo.pid);
        await this.#echo.kill();
        this.#echo = await EchoProgram.start(stand);
        return;
      case 2:
        await still(this.#grpc.pid);
        await this.#grpc.kill();
        this.#grpc = await startGrpc(stand, this.#program);
        return;
      default:
        await still(stand.client.pid);
        await stand.client.end("SIGKILL");
        await stand.restartClient();
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#echo.kill(), this.#grpc.kill()]);
  }
}

function startGrpc(stand: Stand, program: string): Promise<GrpcServer> {
  return GrpcServer.start(program, `${stand.storeAddress()}:${STORE_PORTS.grpc}`);
}
