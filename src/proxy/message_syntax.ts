/** The characters that messages are made of (RFC 9110 §5, RFC 3986), the same for every version of HTTP. */

const TOKEN_LOWER = 1;
export const TOKEN_UPPER = 2;

/** By code: TOKEN_LOWER or TOKEN_UPPER for a character of a token, else 0. */
export const tokenByte = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  tokenByte[character.charCodeAt(0)] = TOKEN_LOWER;
}
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZ") tokenByte[character.charCodeAt(0)] = TOKEN_UPPER;

/** By code: 1 for HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const valueByte = new Uint8Array(256);
valueByte[0x09] = 1;
for (let code = 0x20; code < 256; code++) valueByte[code] = code === 0x7f ? 0 : 1;

/** By code: 1 for visible ASCII without `#`, since a fragment never travels (RFC 9112 §3.2). */
const targetByte = new Uint8Array(256);
for (let code = 0x21; code < 0x7f; code++) targetByte[code] = code === 0x23 ? 0 : 1;

/**
 * uri-host and port (RFC 3986 §3.2.2, §3.2.3), without userinfo. Without escapes, too: no name in use needs one, and
 * programs that unescape them would see another host than routes and policies. It may be empty, but a port needs a host
 * (RFC 9110 §4.2.1).
 */
const AUTHORITY = /^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(:[0-9]{0,5})?)?$/;

export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if ((tokenByte[text.charCodeAt(i)] ?? 0) === 0) return false;
  return text.length > 0;
}

/** A token without upper case: a field name in HTTP/2 (RFC 9113 §8.2.1). */
export function isLowerToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (tokenByte[text.charCodeAt(i)] !== TOKEN_LOWER) return false;
  return text.length > 0;
}

/**
 * A name as CGI tells names apart, and with it WSGI, Rack and PHP: `x_a` and `x-a` are one variable (RFC 3875 §4.1.18), so
 * that a program may take the one for the other.
 */
export function cgiName(name: string): string {
  return name.includes("_") ? name.replaceAll("_", "-") : name;
}

export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (valueByte[text.charCodeAt(i)] !== 1) return false;
  return true;
}

export function isTarget(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (targetByte[text.charCodeAt(i)] !== 1) return false;
  return text.length > 0;
}

/** The last that was one: a caller speaks to few hosts. */
let lastAuthority = "";

export function isAuthority(text: string): boolean {
  if (text === lastAuthority) return true;
  if (!AUTHORITY.test(text)) return false;
  lastAuthority = text;
  return true;
}

/** Digits of a Content-Length that we take: more than any body has, and a number keeps them all. */
const LENGTH_DIGITS_MAX = 15;

/** Bytes; -1 for what is no length (RFC 9110 §8.6). A regular expression takes 100 ns. */
export function readContentLength(text: string): number {
  if (text.length === 0 || text.length > LENGTH_DIGITS_MAX) return -1;
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    length = length * 10 + digit;
  }
  return length;
}
