/** Which fields carry secrets. Their values are kept no longer than the message needs them. */

/** Parts of names between dashes: `x-api-key`, `x-amz-security-token`, `proxy-authorization`, `set-cookie`. */
const SECRET =
  /(?:^|-)(?:api-?key|auth|authorization|cookie2?|credentials?|jwt|key|password|secret|session|signature|token)(?:-|$)/;

/** `name` in lower case. */
export function isSecretField(name: string): boolean {
  return SECRET.test(name);
}
