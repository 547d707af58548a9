/**
 * TCP and TLS byte streams on Bun's raw sockets: what the data plane and the control plane's mTLS endpoint stand on.
 * A Wire is the Bun socket itself (no wrapper: this is the hot path); its owner hears every event by a method call.
 */
import { ListenError } from "./listen_error.ts";
import { boundReceiveBuffer } from "./receive_buffer.ts";

/**
 * TLS 1.3 and nothing older, both ways: SSL_OP_NO_TLSv1_2, _1_1 and _1, by number, since node:crypto would cost every
 * sidecar a megabyte. Bun's own `minVersion` refuses 1.3 too.
 */
const TLS_OPTIONS = 0x08000000 | 0x10000000 | 0x04000000;

/** TLS 1.2 and 1.3, for servers that are not of the mesh. */
const TLS_OPTIONS_FROM_1_2 = 0x10000000 | 0x04000000;

const UNIX = "unix://";
/** Versions of TLS as bits of `secureOptions` that forbid them (SSL_OP_NO_TLSv1_2 and the like). */
const FORBIDS = { "TLSv1.2": 0x08000000, "TLSv1.3": 0x20000000 } as const;

/** Of TLS 1.2: with forward secrecy and authenticated encryption only; 1.3 has no others. */
const CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** A connected byte stream, plain or TLS. */
export interface Wire {
  /** Returns how many of the bytes were taken; keep the rest and go on at `onDrain`. -1 when closed. */
  write(data: Uint8Array, offset?: number, length?: number): number;
  /** Sends what was taken, then FIN; with `onEnd` seen, closes. */
  end(): void;
  /** Half-close: no more bytes from here, the peer may go on sending. */
  shutdown(): void;
  /** Closes at once, with a reset. */
  terminate(): void;
  pause(): void;
  resume(): void;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The IP addresses of both ends; "" at a socket of the file system, which has none. */
export function endsOf(wire: Wire): { readonly remote: Address; readonly local: Address } {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = wire as Partial<Wire>;
  return {
    remote: { hostname: remoteAddress, port: remotePort },
    local: { hostname: localAddress, port: localPort },
  };
}

/** What a TLS peer showed in the handshake. `raw` is the leaf certificate in DER, absent when there was none. */
export interface TlsWire extends Wire {
  /** The protocol that both ends agreed on by ALPN; false: none. */
  readonly alpnProtocol: string | false | null;
  getPeerCertificate(): { readonly raw?: Uint8Array } | null | undefined;
}

/** Hears what happens on a Wire. After `onClose` nothing comes. */
export interface WireOwner {
  onData(chunk: Buffer): void;
  onDrain(): void;
  /** The peer sent FIN; our side is still open. */
  onEnd(): void;
  /**
   * The wire is gone; with an error, the peer reset it. When our side had shut down before, the peer's FIN is told by
   * this alone, without an error and without `onEnd`.
   */
  onClose(error?: Error): void;
}

/** Hears a TLS handshake before any byte. The error is null only when the chain and the names were all accepted. */
export interface TlsWireOwner extends WireOwner {
  onHandshake(wire: TlsWire, error: Error | null): void;
}

/** PEM of the own certificate chain and key, both empty for a client without one, and of the roots of the peer's chain. */
export interface TlsMaterial {
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
  /** PEM of revocation lists, one each; with any, every CA of the peer's chain must have one that is in date. @default none */
  readonly crls?: readonly string[];
}

/** What a server shows. */
export interface ServerMaterial extends TlsMaterial {
  /** Shown to clients that can verify a key of its kind alone, and by TLS's preference to others. @default none */
  readonly other?: Pick<TlsMaterial, "chain" | "key">;
}

/** Protocols to offer by ALPN (RFC 7301), the preferred first. */
export type Alpn = readonly ("h2" | "http/1.1")[];

/** What a client of TLS shows and offers. */
export interface TlsClient extends TlsMaterial {
  readonly alpn?: Alpn;
  /** The name to ask for (SNI). @default none */
  readonly serverName?: string;
  /** @default "1.3" */
  readonly oldest?: "1.2";
}

export interface Address {
  /** For connections, and where TCP is listened for, also `unix:///PATH`, which has no port. */
  readonly hostname: string;
  readonly port: number;
}

/** How an accepted connection becomes one of TLS. */
export interface TlsServer extends ServerMaterial {
  /** Whether a client shows a certificate that chains to `roots`: it must; it may, and the owner judges; it is not asked. */
  readonly clients: "required" | "optional" | "anonymous";
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion: "TLSv1.2" | "TLSv1.3";
  /** Empty: none is agreed on. */
  readonly alpn: Alpn;
  /** Of TLS 1.2, by OpenSSL's names. @default all that have forward secrecy and authenticated encryption */
  readonly ciphers?: readonly string[];
}

/** Where to listen. */
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
    socket.data.onData(chunk);
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

/** Hears nothing: the owner of a wire that is closed as it opens. */
export const NOBODY: WireOwner = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

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
      const { chain, key, roots } = own;
      const [, tls] = socket.upgradeTLS({
        isServer: true,
        tls: {
          cert: chain,
          key,
          ca: roots,
          requestCert: true,
          rejectUnauthorized: options.requireClientCertificate,
          secureOptions: TLS_OPTIONS,
          ALPNProtocols: alpnList(options.alpn),
        },
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
  const { clients, minVersion, maxVersion, alpn, roots, ciphers } = server;
  const forbidden = (minVersion === "TLSv1.3" ? FORBIDS["TLSv1.2"] : 0) |
    (maxVersion === "TLSv1.2" ? FORBIDS["TLSv1.3"] : 0);
  const socket = wire as unknown as BunSocket;
  socket.data = NOBODY;
  const pair = socket.upgradeTLS({
    isServer: true,
    initialData: firstBytes,
    tls: {
      ...(server.other === undefined ? ownCertificate(server) : bothCertificates(server, server.other)),
      ...(clients === "anonymous" ? {} : { ca: roots, ...revocation(server) }),
      requestCert: clients !== "anonymous",
      rejectUnauthorized: clients === "required",
      secureOptions: TLS_OPTIONS_FROM_1_2 | forbidden,
      ciphers: ciphers?.join(":") ?? CIPHERS,
      ...(alpn.length === 0 ? {} : { ALPNProtocols: alpnList(alpn) }),
    },
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
    ...(tls === null || late ? {} : { tls: verifiedByOwner(tls) }),
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
      tls: verifiedByOwner(tls),
      socket: tlsHandlers,
    } as unknown as Bun.TLSUpgradeOptions<WireOwner>);
    secured.data = NOBODY;
    secured.data = on.opened(secured as unknown as Wire);
  } catch (error) {
    socket.terminate();
    on.failed(error as Error);
  }
}

/**
 * A root whose key was never kept, for connections that believe nobody. Where there is none, Bun reads its own 140: 1.3 MB
 * for as long as the process lives.
 */
const NOBODYS_ROOT = `-----BEGIN CERTIFICATE-----
MIIBlDCCATqgAwIBAgIUJ87r/RYJEDI+cFbb1d05PZfuOdcwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSdm91Y2hlcyBmb3Igbm9ib2R5MCAXDTI2MTEyOTE3MDEzN1oY
DzIxMjYxMTA1MTcwMTM3WjAdMRswGQYDVQQDDBJ2b3VjaGVzIGZvciBub2JvZHkw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARLADImWEJn4u4+HP6yxsc5S73tAucu
19KzP3xikQ6yQvBDfqAcWFbbGkSbhSY37B4liQdwJ+xZtWIxgQGEWxHIo1YwVDAd
BgNVHQ4EFgQUCr2cS06vibbpjGyZM79NaxXWPicwHwYDVR0jBBgwFoAUCr2cS06v
ibbpjGyZM79NaxXWPicwEgYDVR0TAQH/BAgwBgEB/wIBADAKBggqhkjOPQQDAgNI
ADBFAiAQ5AUgA+9fDVCXnjkdZ0M/0X1BGzvfawYAH1C0Zzg41AIhAKTl0K8bSYnc
LnQpkTHcwJwiNjYBvnJ4LTKBFwPd1Q9h
-----END CERTIFICATE-----
`;

/** Bun would also check the host's name, which a SPIFFE certificate has not: the owner judges instead. */
function verifiedByOwner(tls: TlsClient): object {
  const offered = tls.alpn === undefined ? {} : { ALPNProtocols: alpnList(tls.alpn) };
  const ca = tls.roots === "" ? NOBODYS_ROOT : tls.roots;
  const named = tls.serverName === undefined ? {} : { serverName: tls.serverName };
  return {
    ...ownCertificate(tls),
    ...offered,
    ca,
    ...revocation(tls),
    ...named,
    rejectUnauthorized: false,
    secureOptions: tls.oldest === undefined ? TLS_OPTIONS : TLS_OPTIONS_FROM_1_2,
  };
}

/** As it travels: each name behind its length. */
function alpnList(protocols: Alpn): string {
  return protocols.map((name) => String.fromCharCode(name.length) + name).join("");
}

/** OpenSSL's check of the whole chain: a CA without a list that is in date vouches for nobody. */
function revocation({ crls = [] }: TlsMaterial): { crl?: readonly string[] } {
  return crls.length === 0 ? {} : { crl: crls };
}

function ownCertificate({ chain, key }: TlsMaterial): { cert?: string; key?: string } {
  return chain === "" ? {} : { cert: chain, key };
}

function listen(address: ListenAddress, socket: object): Listener {
  if (address.hostname.startsWith(UNIX)) return listenAtSocket(socketPath(address.hostname), socket);
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

/** Its file goes as it stops. */
function listenAtSocket(path: string, socket: object): Listener {
  // Here, since hardly any sidecar does.
  const { atSocketFile } = require("./socket_file.ts") as typeof import("./socket_file.ts");
  const listen = () =>
    Bun.listen<WireOwner>({ unix: path, allowHalfOpen: true, socket } as Bun.UnixSocketOptions<WireOwner>);
  const listener = atSocketFile(path, listen);
  return { port: 0, stop: () => listener.stop(false) };
}

/** The number of the wire's descriptor. The kernel gives the smallest that is free: all below are in use as it opens. */
export function descriptorOf(wire: Wire): number {
  return (wire as unknown as BunSocket & { readonly fd: number }).fd;
}

/** Bun's `readyState` of a socket that is established. */
const ESTABLISHED = 1;

/** Whether the wire still stands: for whoever is not its owner, and hears nothing. */
export function isOpen(wire: Wire): boolean {
  return (wire as { readonly readyState?: number }).readyState === ESTABLISHED;
}

/** Hands a wire to another owner, which hears everything from the next event on. */
export function setOwner(wire: Wire, owner: WireOwner): void {
  (wire as unknown as BunSocket).data = owner;
}

/** Of two for different kinds of keys TLS chooses by what the client can verify (RFC 8446 §4.2.3). */
function bothCertificates(...pairs: readonly Pick<TlsMaterial, "chain" | "key">[]): object {
  return { cert: pairs.map(({ chain }) => chain), key: pairs.map(({ key }) => key) };
}
