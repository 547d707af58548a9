/** The date that a message says it is of (RFC 9110 §5.6.7), put into words once a second. */

let second = NaN;
let text = "";

/** `nowMs`: since 1970. */
export function httpDate(nowMs: number): string {
  const now = Math.floor(nowMs / 1_000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1_000).toUTCString();
  }
  return text;
}
