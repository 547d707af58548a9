/** A bare connection that says what it is told to, and reads as much as it is told to. */

export class SlowPeer {
  /** Latin-1. */
  heard = "";
  /** The other side has closed or reset it. */
  closed = false;
  #once = false;
  #socket: Bun.Socket | null = null;

  static async open(hostname: string, port: number): Promise<SlowPeer> {
    const peer = new SlowPeer();
    const over = () => void (peer.closed = true);
    peer.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (socket, chunk) => {
          peer.heard += chunk.toString("latin1");
          if (peer.#once) socket.pause();
        },
        end: over,
        close: over,
        error: over,
      },
    });
    return peer;
  }

  say(text: string): void {
    if (!this.closed) this.#socket?.write(text);
  }

  /** From the first bytes that come on it reads no more. */
  readOnce(): void {
    this.#once = true;
  }

  close(): void {
    this.#socket?.terminate();
  }
}
