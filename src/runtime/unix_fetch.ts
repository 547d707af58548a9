/** HTTP over a Unix socket: how commands speak to a running process. */

/** As fetch(); `path` begins with a slash. Rejects with the system's code when nobody listens at the socket. */
export function fetchUnix(socketPath: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://localhost${path}`, { ...init, unix: socketPath } as RequestInit);
}
