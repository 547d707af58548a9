/** A private key that is none. */
import { isOpenToAll } from "./files.ts";

/** What to warn of where every user of the machine can read the file; null: nothing. */
export function openKeyWarning(path: string): string | null {
  return isOpenToAll(path)
    ? `Every user of this machine can read a private key; run: chmod 600 ${path}`
    : null;
}
