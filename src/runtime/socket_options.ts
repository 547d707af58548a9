/** Options of a socket that Bun does not know: the C library's getsockopt and setsockopt. */
import type { FFIFunction } from "bun:ffi";
import { libcFunction } from "./libc.ts";
import { descriptorOf, type Wire } from "./wire.ts";

/** Undefined: not asked for yet, since an idle process has no need of it; null: there is none. */
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
export function readSocketOption(
  descriptor: number,
  level: number,
  option: number,
  value: Uint8Array,
): boolean {
  getsockopt = load(getsockopt, "getsockopt", { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" });
  bytes[0] = value.byteLength;
  return getsockopt !== null && getsockopt(descriptor, level, option, value, bytes) === 0;
}

function load<Call>(loaded: Call | null | undefined, name: string, signature: FFIFunction): Call | null {
  return loaded === undefined ? libcFunction<Call>(name, signature) : loaded;
}
