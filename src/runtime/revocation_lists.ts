/** Files of certificate revocation lists (RFC 5280 §5), as OpenSSL writes them. */
import { FileError } from "./files.ts";

const LIST = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]*-----END X509 CRL-----/g;

/** The lists in a PEM text, one each, since Bun reads no more than the first of a text. Throws FileError: it has none. */
export function revocationLists(path: string, text: string): readonly string[] {
  const lists = text.match(LIST) ?? [];
  if (lists.length > 0) return lists;
  throw new FileError("wrong-kind", path, `Cannot use ${path}: it has no "BEGIN X509 CRL"`);
}
