/** The servers that a proxy asks for keys, each with what it answered last: they outlive snapshots, as hosts do. */
import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/prng.ts";
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { KeyServer } from "./key_server.ts";
import type { KeySource } from "./key_source.ts";
import { RemoteKeys } from "./remote_keys.ts";

export interface KeySourcesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly server: KeyServer;
  warn(message: string): void;
  info(message: string): void;
}

export class KeySources {
  readonly #options: KeySourcesOptions;
  readonly #sources = new Map<string, RemoteKeys>();

  constructor(options: KeySourcesOptions) {
    this.#options = options;
  }

  /** Of a rule that brings no keys along. */
  readonly of = (rule: JwtRule): KeySource => {
    const id = idOf(rule);
    let source = this.#sources.get(id);
    if (source === undefined) {
      const { server } = this.#options;
      const { keys, issuer, timeoutMs } = rule;
      const ask = keys.type === "url"
        ? () => server.keys(keys.url, timeoutMs)
        : () => server.discovered(issuer, timeoutMs);
      source = new RemoteKeys({ ...this.#options, issuer, ask });
      this.#sources.set(id, source);
    }
    return source;
  };

  /** Forgets what no rule asks for any more, and asks for what is new before the first token comes. */
  retain(rules: readonly JwtRule[]): void {
    const used = new Set(rules.filter(({ keys }) => keys.type !== "inline").map(idOf));
    for (const [id, source] of this.#sources) {
      if (used.has(id)) void source.current();
      else this.#sources.delete(id);
    }
  }
}

/** Rules of one issuer share its keys, if they are as patient. */
function idOf({ keys, issuer, timeoutMs }: JwtRule): string {
  return JSON.stringify([keys.type === "url" ? keys.url : null, issuer, timeoutMs]);
}
