/** Options of a socket that Bun does not know: the C library's getsockopt and setsockopt. */
import type { FFIFunction } from "bun:ffi";
import { descriptorOf, type Wire } from "./socket.ts";

/** glibc, and musl on x64 and arm64. */
const LIBC = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Loading it takes a megabyte, so an idle process does not have it. Undefined: not asked for yet; null: there is none. */
let setsockopt:
  | ((descriptor: number, level: number, option: number, value: Int32Array, bytes: number) => number)
  | null
  | undefined;
let getsockopt:
  | ((descriptor: number, level: number, option: number, value: Uint8Array, bytes: Uint32Array) => number)
  | null
  | undefined;

const number = new Int32Array(1);
const bytes = new Uint32Array(1);

/** False: the system does not do it. */
export function setSocketOption(wire: Wire, level: number, option: number, value: number): boolean {
  setsockopt = load(setsockopt, "setsockopt", { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" });
  number[0] = value;
  return setsockopt !== null &&
    setsockopt(descriptorOf(wire), level, option, number, number.byteLength) === 0;
}

/** Fills `value`; false: the system does not do it, or has no answer. */
export function readSocketOption(wire: Wire, level: number, option: number, value: Uint8Array): boolean {
  getsockopt = load(getsockopt, "getsockopt", { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" });
  bytes[0] = value.byteLength;
  return getsockopt !== null && getsockopt(descriptorOf(wire), level, option, value, bytes) === 0;
}

function load<Call>(loaded: Call | null | undefined, name: string, signature: FFIFunction): Call | null {
  if (loaded !== undefined) return loaded;
  for (const library of LIBC) {
    try {
      const { dlopen } = import.meta.require("bun:ffi") as typeof import("bun:ffi");
      return dlopen(library, { [name]: signature }).symbols[name] as unknown as Call;
    } catch {
      // The next name.
    }
  }
  return null;
}
