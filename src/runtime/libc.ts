/** The C library, for what Bun does not ask the system itself. */
import type { FFIFunction } from "bun:ffi";

/** glibc, and musl on x64 and arm64. */
const NAMES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Loading a function takes about a megabyte and half a millisecond, so callers do it when they need it. Null: there is none. */
export function libcFunction<Call>(name: string, signature: FFIFunction): Call | null {
  const { dlopen } = import.meta.require("bun:ffi") as typeof import("bun:ffi");
  for (const library of NAMES) {
    try {
      return dlopen(library, { [name]: signature }).symbols[name] as unknown as Call;
    } catch {
      // The next name.
    }
  }
  return null;
}
