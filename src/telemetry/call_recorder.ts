/**
 * Which kinds of calls came to the own workload: who, to which port, with which method, authority and path. A call adds
 * to a number in place; what is kept has a limit, and what is beyond it is only counted.
 */
import {
  type CallReport,
  type CallShape,
  RECORDED_CALLS_MAX,
  RECORDED_TEXT_LENGTH_MAX,
  type RecordedCall,
} from "../model/recorded_call.ts";

/** Kinds of calls of one principal: nobody uses up the room of the others. */
export const RECORDED_CALLS_PER_PRINCIPAL_MAX = 500;

/** Who calls which port. */
type Caller = Pick<CallShape, "principal" | "caller" | "port">;

interface Entry {
  readonly shape: CallShape;
  address: string;
  allowed: number;
  refused: number;
  toldAllowed: number;
  toldRefused: number;
}

/** The kinds of calls of one caller to one port, by path: it tells most of them apart. */
type Table = Map<string, Entry[]>;

export class CallRecorder {
  readonly #tables = new Map<string, Table>();
  readonly #entries: Entry[] = [];
  readonly #entriesByPrincipal = new Map<string, number>();
  #omitted = 0;
  #toldOmitted = 0;

  /** Where the calls that one connection brings to one port are recorded. `address` is its other end. */
  caller(from: Caller & Pick<RecordedCall, "address">): RecordedCaller {
    return new RecordedCaller(this, from);
  }

  /** What is known of the caller. */
  table({ principal, caller, port }: Caller): Table {
    const key = `${principal} ${caller} ${port}`;
    let table = this.#tables.get(key);
    if (table === undefined) {
      table = new Map();
      // One without a single entry is not worth to be kept where there is no room for one.
      if (this.#tables.size < RECORDED_CALLS_MAX) this.#tables.set(key, table);
    }
    return table;
  }

  /** A new entry in the table; null: there is no room for it. */
  add(table: Table, shape: CallShape, address: string): Entry | null {
    const { principal, method, authority, path } = shape;
    const length = Math.max(method.length, authority.length, path.length);
    const own = this.#entriesByPrincipal.get(principal) ?? 0;
    const full = this.#entries.length >= RECORDED_CALLS_MAX || own >= RECORDED_CALLS_PER_PRINCIPAL_MAX;
    if (full || length > RECORDED_TEXT_LENGTH_MAX) return null;
    const entry = { shape, address, allowed: 0, refused: 0, toldAllowed: 0, toldRefused: 0 };
    this.#entriesByPrincipal.set(principal, own + 1);
    this.#entries.push(entry);
    const alike = table.get(path);
    if (alike === undefined) table.set(path, [entry]);
    else alike.push(entry);
    return entry;
  }

  omit(count: number): void {
    this.#omitted += count;
  }

  /** Adds what another process of the same proxy gave by takeReport(). */
  absorb({ calls, omitted }: CallReport): void {
    this.omit(omitted);
    for (const { address, allowed, refused, ...shape } of calls) {
      const table = this.table(shape);
      const entry = find(table, shape.protocol, shape.method, shape.authority, shape.path) ??
        this.add(table, shape, address);
      if (entry === null) {
        this.omit(allowed + refused);
        continue;
      }
      entry.address = address;
      entry.allowed += allowed;
      entry.refused += refused;
    }
  }

  /** Differences since the last call. */
  takeReport(): CallReport {
    const calls: RecordedCall[] = [];
    for (const entry of this.#entries) {
      const allowed = entry.allowed - entry.toldAllowed;
      const refused = entry.refused - entry.toldRefused;
      if (allowed + refused === 0) continue;
      entry.toldAllowed = entry.allowed;
      entry.toldRefused = entry.refused;
      calls.push({ ...entry.shape, address: entry.address, allowed, refused });
    }
    const omitted = this.#omitted - this.#toldOmitted;
    this.#toldOmitted = this.#omitted;
    return { calls, omitted };
  }
}

export class RecordedCaller {
  readonly #recorder: CallRecorder;
  readonly #from: Caller;
  readonly #address: string;
  readonly #table: Table;
  /** Most calls of a connection are like the one before. */
  #latest: Entry | null = null;

  constructor(recorder: CallRecorder, { address, ...from }: Caller & Pick<RecordedCall, "address">) {
    this.#recorder = recorder;
    this.#from = from;
    this.#address = address;
    this.#table = recorder.table(from);
  }

  /** A request; `target` is its path in the one form, with its query. */
  recordRequest(method: string, authority: string, target: string, allowed: boolean): void {
    const path = withoutQuery(target);
    const latest = this.#latest;
    if (latest !== null && isLike(latest, "http", method, authority, path)) return count(latest, allowed);
    this.#record("http", method, authority, path, allowed);
  }

  recordConnection(allowed: boolean): void {
    this.#record("tcp", "", "", "", allowed);
  }

  #record(
    protocol: "http" | "tcp",
    method: string,
    authority: string,
    path: string,
    allowed: boolean,
  ): void {
    const entry = find(this.#table, protocol, method, authority, path) ??
      this.#find(protocol, method, authority.toLowerCase(), path);
    if (entry === null) return this.#recorder.omit(1);
    entry.address = this.#address;
    this.#latest = entry;
    count(entry, allowed);
  }

  #find(protocol: "http" | "tcp", method: string, authority: string, path: string): Entry | null {
    const shape = { ...this.#from, protocol, method, authority, path };
    return find(this.#table, protocol, method, authority, path) ??
      this.#recorder.add(this.#table, shape, this.#address);
  }
}

function find(
  table: Table,
  protocol: "http" | "tcp",
  method: string,
  authority: string,
  path: string,
): Entry | undefined {
  const alike = table.get(path);
  if (alike === undefined) return undefined;
  for (const entry of alike) if (isLike(entry, protocol, method, authority, path)) return entry;
  return undefined;
}

function isLike(
  { shape }: Entry,
  protocol: "http" | "tcp",
  method: string,
  authority: string,
  path: string,
): boolean {
  return shape.path === path && shape.method === method && shape.authority === authority &&
    shape.protocol === protocol;
}

function count(entry: Entry, allowed: boolean): void {
  if (allowed) entry.allowed++;
  else entry.refused++;
}

function withoutQuery(target: string): string {
  const queryAt = target.indexOf("?");
  return queryAt < 0 ? target : target.slice(0, queryAt);
}
