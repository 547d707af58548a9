/** HTTP over a Unix socket: how commands speak to a running process. */

/** `timeout`: whether an answer on which nothing comes is given up, which Bun does by itself. @default true */
export interface UnixRequestInit extends RequestInit {
  readonly timeout?: boolean;
}

/** As fetch(); `path` begins with a slash. Rejects with the system's code when nobody listens at the socket. */
export function fetchUnix(socketPath: string, path: string, init: UnixRequestInit = {}): Promise<Response> {
  return fetch(`http://localhost${path}`, { ...init, unix: socketPath } as RequestInit);
}
