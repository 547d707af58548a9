/**
 * Names for workloads that join a group: the group's, and eight letters by chance. Made with the token, so that the
 * name stays the same through restarts and changes of address, and so that nobody chooses whom to be.
 */
import type { WorkloadKey } from "../model/workload.ts";

/** Letters and digits that make no words and are not mistaken for each other, as Kubernetes takes for pods. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 8;

/** Bytes from here on would make the first letters of the alphabet likelier than the others. */
const EVEN_BELOW = 256 - 256 % ALPHABET.length;

/** A key for a new member of a group, `NAMESPACE/GROUP-SUFFIX`: of 27^8, so no two of any number of members meet. */
export function newMemberKey(group: WorkloadKey): WorkloadKey {
  let suffix = "";
  while (suffix.length < SUFFIX_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(SUFFIX_LENGTH - suffix.length))) {
      if (byte < EVEN_BELOW) suffix += ALPHABET[byte % ALPHABET.length];
    }
  }
  return `${group}-${suffix}`;
}
