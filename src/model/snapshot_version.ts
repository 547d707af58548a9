/**
 * One version for a whole snapshot, whatever the order of its resources: the sum of their hashes, so that a change of
 * one resource costs one addition. A proxy works it out for what it has, the control plane for what it should have.
 */
import { textHash } from "../lib/hash.ts";
import type { ResourceKey, Snapshot } from "./snapshot.ts";

const BITS = 128;
const HEX_LENGTH = BITS / 4;

/** The share of one resource in the sum. */
export function versionShare(key: ResourceKey, version: string): bigint {
  return BigInt(`0x${textHash(`${key}=${version}`)}`);
}

/** A sum of shares as a version; sums may be negative, or of any size. */
export function versionOfSum(sum: bigint): string {
  return BigInt.asUintN(BITS, sum).toString(16).padStart(HEX_LENGTH, "0");
}

/** Equal for equal keys with equal versions, and for nothing else. */
export function snapshotVersion(snapshot: Snapshot): string {
  let sum = 0n;
  for (const [key, { version }] of snapshot) sum += versionShare(key, version);
  return versionOfSum(sum);
}
