/** Listening and connecting on Bun's raw sockets: what the data plane and the control plane's mTLS endpoint stand on. */
import { beginCallback, endCallback } from "../lib/turn.ts";
import { borrow, inheritedAt, type InheritedSocket } from "./inherited_sockets.ts";
import { ListenError } from "./listen_error.ts";
import { boundReceiveBuffer } from "./receive_buffer.ts";
import {
  type Alpn,
  clientOptions,
  mutualTlsOptions,
  serverOptions,
  type TlsClient,
  type TlsMaterial,
  type TlsServer,
} from "./tls_options.ts";
import { type Address, NOBODY, type TlsWire, type TlsWireOwner, type Wire, type WireOwner } from "./wire.ts";

const UNIX = "unix://";

/** Where to listen: at an inherited socket of that address, else at one that is opened. */
export interface ListenAddress extends Address {
  /**
   * Processes of the same user that all say so share the port: the kernel deals new connections out among them.
   * @default false: a port that another process has is told
   */
  readonly shared?: boolean;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting; connections that are open go on. */
  stop(): void;
}

type BunSocket = Bun.Socket<WireOwner>;

const handlers = {
  data(socket: BunSocket, chunk: Buffer) {
    beginCallback();
    try {
      socket.data.onData(chunk);
    } finally {
      endCallback();
    }
  },
  drain(socket: BunSocket) {
    socket.data.onDrain();
  },
  end(socket: BunSocket) {
    socket.data.onEnd();
  },
  close(socket: BunSocket, error?: Error) {
    socket.data.onClose(error);
  },
  /** A failure of TLS, or an error that an owner threw: the connection is of no more use, and `close` tells so. */
  error(socket: BunSocket) {
    socket.terminate();
  },
};

const tlsHandlers = {
  ...handlers,
  handshake(socket: BunSocket, _success: boolean, error: Error | null) {
    (socket.data as TlsWireOwner).onHandshake(socket as unknown as TlsWire, error);
  },
};

/** Accepts plain connections; the owner is made when one opens, and null closes it. Throws ListenError. */
export function listenTcp(address: ListenAddress, accept: (wire: Wire) => WireOwner | null): Listener {
  return listen(address, {
    ...handlers,
    open(socket: BunSocket) {
      socket.setNoDelay(true);
      boundReceiveBuffer(socket as unknown as Wire);
      // It may be closed before there is an owner.
      socket.data = NOBODY;
      const owner = accept(socket as unknown as Wire);
      socket.data = owner ?? NOBODY;
      if (owner === null) socket.terminate();
    },
  });
}

/** Has a port, so that nobody else gets it, and serves nobody there. Throws ListenError. */
export function holdPort(address: ListenAddress): Listener {
  // Whoever connects there waits, and is not turned away.
  if (inheritedAt(address) !== null) return { port: address.port, stop() {} };
  return listenTcp(address, () => null);
}

/**
 * Accepts mutual TLS: whoever shows no certificate, or one that does not chain to the roots, is refused in the
 * handshake. The material is asked for at every connection, so a renewed certificate needs no new listener; null closes
 * the connection before TLS costs anything. Throws ListenError.
 */
export function listenMutualTls(
  address: ListenAddress,
  material: (wire: Wire) => TlsMaterial | null,
  accept: (wire: Wire) => TlsWireOwner,
  options: { readonly requireClientCertificate: boolean; readonly alpn: Alpn },
): Listener {
  return listen(address, {
    open(socket: BunSocket) {
      socket.setNoDelay(true);
      const own = material(socket as unknown as Wire);
      if (own === null) {
        socket.terminate();
        return;
      }
      const [, tls] = socket.upgradeTLS({
        isServer: true,
        tls: mutualTlsOptions(own, options),
        socket: tlsHandlers,
      } as unknown as Bun.TLSUpgradeOptions<WireOwner>);
      tls.data = accept(tls as unknown as Wire);
    },
    drain() {},
    error() {},
  });
}

/**
 * Makes an accepted plain connection one of TLS, of which the first bytes were read already. The plain wire is nobody's
 * from then on; null when it closed in the meantime. Throws what Bun says of a certificate that it does not take.
 */
export function upgradeTls(
  wire: Wire,
  firstBytes: Buffer,
  server: TlsServer,
  accept: (wire: Wire) => TlsWireOwner,
): TlsWireOwner | null {
  const socket = wire as unknown as BunSocket;
  socket.data = NOBODY;
  const pair = socket.upgradeTLS({
    isServer: true,
    initialData: firstBytes,
    tls: serverOptions(server),
    socket: tlsHandlers,
  } as unknown as Bun.TLSUpgradeOptions<WireOwner>) as readonly BunSocket[] | undefined;
  const tls = pair?.[1];
  if (tls === undefined) return null;
  const owner = accept(tls as unknown as Wire);
  tls.data = owner;
  return owner;
}

export interface ConnectHandlers {
  /** The owner of the new wire; for TLS, its `onHandshake` comes before anything else. */
  opened(wire: Wire): WireOwner;
  failed(error: Error): void;
}

/**
 * Opens a plain connection, or a TLS one that shows `tls` and lets the owner judge the peer in `onHandshake`. Exactly
 * one of the handlers is called, `failed` perhaps at once.
 */
export type Connect = (address: ConnectAddress, tls: TlsClient | null, on: ConnectHandlers) => void;

export interface ConnectAddress extends Address {
  /** What is said before all else, and before TLS begins. @default nothing */
  readonly prelude?: (wire: Wire) => Uint8Array;
}

export const connect: Connect = (address, tls, on) => {
  const { hostname, port, prelude } = address;
  const late = tls !== null && prelude !== undefined;
  const socket = {
    ...(tls === null || late ? handlers : tlsHandlers),
    open(socket: BunSocket) {
      socket.setNoDelay(true);
      // The kernel has room for it in any new connection.
      if (prelude !== undefined) socket.write(prelude(socket as unknown as Wire));
      if (late) return beginTls(socket, tls, on);
      // It may be closed before there is an owner.
      socket.data = NOBODY;
      socket.data = on.opened(socket as unknown as Wire);
    },
    connectError(_socket: BunSocket, error: Error) {
      on.failed(error);
    },
  };
  const options = {
    ...(hostname.startsWith(UNIX) ? { unix: socketPath(hostname) } : { hostname, port }),
    allowHalfOpen: true,
    socket,
    ...(tls === null || late ? {} : { tls: clientOptions(tls) }),
  };
  try {
    // connectError has told the caller already; the promise says the same again.
    Bun.connect<WireOwner>(options as unknown as Bun.TCPSocketConnectOptions<WireOwner>).catch(() => {});
  } catch (error) {
    // An address or a certificate that Bun does not take.
    on.failed(error as Error);
  }
};

/** Linux' abstract names, which are written with `@`, begin with a zero. */
function socketPath(hostname: string): string {
  return hostname.slice(UNIX.length).replace(/^@/, "\0");
}

/** TLS on a connection that stands, and of which something was said in plain text. */
function beginTls(socket: BunSocket, tls: TlsClient, on: ConnectHandlers): void {
  socket.data = NOBODY;
  try {
    const [, secured] = socket.upgradeTLS({
      tls: clientOptions(tls),
      socket: tlsHandlers,
    } as unknown as Bun.TLSUpgradeOptions<WireOwner>);
    secured.data = NOBODY;
    secured.data = on.opened(secured as unknown as Wire);
  } catch (error) {
    socket.terminate();
    on.failed(error as Error);
  }
}

function listen(address: ListenAddress, socket: object): Listener {
  if (address.hostname.startsWith(UNIX)) return listenAtSocket(socketPath(address.hostname), socket);
  const inherited = inheritedAt(address);
  if (inherited !== null) return listenAtInherited(inherited, socket);
  const shared = address.shared === true;
  try {
    const listener = Bun.listen<WireOwner>({
      hostname: address.hostname,
      port: address.port,
      exclusive: !shared,
      reusePort: shared,
      allowHalfOpen: true,
      socket,
    } as Bun.TCPSocketListenOptions<WireOwner>);
    return { port: listener.port, stop: () => listener.stop(false) };
  } catch (error) {
    throw ListenError.of(address, error);
  }
}

/** Whoever connects after it has stopped waits for the next one to listen there. */
function listenAtInherited(inherited: InheritedSocket, socket: object): Listener {
  const { descriptor, giveBack } = borrow(inherited);
  const options = { fd: descriptor, allowHalfOpen: true, socket };
  const listener = Bun.listen<WireOwner>(options as unknown as Bun.TCPSocketListenOptions<WireOwner>);
  const stop = () => {
    giveBack();
    listener.stop(false);
  };
  return { port: inherited.address.port, stop };
}

/** Its file goes as it stops. */
function listenAtSocket(path: string, socket: object): Listener {
  // Here, since hardly any sidecar does.
  const { atSocketFile } = require("./socket_file.ts") as typeof import("./socket_file.ts");
  const listen = () =>
    Bun.listen<WireOwner>({ unix: path, allowHalfOpen: true, socket } as Bun.UnixSocketOptions<WireOwner>);
  const listener = atSocketFile(path, listen);
  return { port: 0, stop: () => listener.stop(false) };
}
