/** Where a listener listens: an IP address, or `unix:///PATH`, where the port is 0; null is the proxy's own address. */
export type Bind = string | null;

/** Whether programs call it by a path. */
export function isSocket({ bind }: { readonly bind: Bind }): boolean {
  return bind?.startsWith("unix://") ?? false;
}
