/** Whether two strings of octets are equal; not for secrets, of which the time that it takes would tell. */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
