/** The selectors of policies, PeerAuthentications and RequestAuthentications. */
import type { Labels } from "../model/labels.ts";

interface Selecting {
  readonly spec: { readonly selector: { readonly matchLabels: Labels } | null };
}

/** The labels that a selector asks for: none where all workloads are meant. */
export function wantedBy({ spec: { selector } }: Selecting): Labels {
  return selector?.matchLabels ?? {};
}
