/** Regular expressions in RE2's syntax, which take time linear in the text whatever they are. */
import type { RE2JS } from "re2js";

export type Regex = RE2JS;

/** Undefined until the first expression: the engine's tables take a megabyte, and most proxies have no expression. */
let engine: typeof import("re2js") | undefined;

/** Throws where RE2 would not compile it; the message says why. */
export function compileRegex(source: string): Regex {
  engine ??= require("re2js") as typeof import("re2js");
  return engine.RE2JS.compile(source);
}
