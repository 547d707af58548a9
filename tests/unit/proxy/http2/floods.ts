/** Peers that only want to keep us busy: a round of each flood, and how many are borne. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import {
  CONTINUATIONS_MAX,
  CONTROL_FRAMES_IDLE_MAX,
  EMPTY_DATA_FRAMES_MAX,
  PREMATURE_RESETS_MAX,
  PRIORITY_FRAMES_PER_STREAM_MAX,
  STRAY_FRAMES_MAX,
  WINDOW_UPDATES_EXTRA_MAX,
} from "../../../../src/proxy/http2/limits.ts";
import {
  CONTINUATION,
  data,
  get,
  HEADERS,
  headers,
  literals,
  ping,
  post,
  PRIORITY,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";

export const REQUEST = post();

export const MANY_FIELDS = literals(
  get(...Array.from({ length: DEFAULT_LIMITS.requestHeaderCount + 1 }, () => ["a", "b"]).flat()),
);

const priority = (id: number) => raw(PRIORITY, 0, id, "\0\0\0\0\x10");

/** A flood: how many rounds of it are borne, and what a round is. `round` counts from 0. */
interface Flood {
  readonly name: string;
  readonly limit: number;
  /** Before it. */
  readonly first?: readonly Buffer[];
  round(round: number): Buffer[];
}

export const FLOODS: readonly Flood[] = [
  {
    name: "rapid reset",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), rstStream(2 * n + 1, "CANCEL")],
  },
  {
    name: "resets that we are made to send, by WINDOW_UPDATE",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), windowUpdate(2 * n + 1, 0)],
  },
  {
    name: "resets that we are made to send, by DATA",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), data(2 * n + 1, "x")],
  },
  {
    name: "resets that we are made to send, by HEADERS",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, REQUEST), headers(2 * n + 1, ["a", "b"])],
  },
  {
    name: "resets that we are made to send, by PRIORITY",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, REQUEST), raw(PRIORITY, 0, 2 * n + 1, "abc")],
  },
  {
    name: "resets that we are made to send, by content-length",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, post("content-length", "1")), data(2 * n + 1, "ab")],
  },
  { name: "PING", limit: CONTROL_FRAMES_IDLE_MAX, first: [headers(1, REQUEST)], round: () => [ping()] },
  {
    name: "SETTINGS",
    limit: CONTROL_FRAMES_IDLE_MAX,
    first: [headers(1, REQUEST)],
    round: () => [settings([4, 100])],
  },
  {
    name: "unknown frames",
    limit: CONTROL_FRAMES_IDLE_MAX,
    first: [headers(1, REQUEST)],
    round: () => [raw(0x42, 0, 0, "x")],
  },
  {
    name: "PRIORITY",
    limit: 3 * PRIORITY_FRAMES_PER_STREAM_MAX,
    first: [headers(1, REQUEST), headers(3, REQUEST)],
    round: (n) => [priority(n % 7 + 5)],
  },
  {
    name: "WINDOW_UPDATE",
    limit: WINDOW_UPDATES_EXTRA_MAX + 2 * 2,
    first: [headers(1, REQUEST), headers(3, REQUEST)],
    round: () => [windowUpdate(0, 1)],
  },
  {
    name: "empty DATA",
    limit: EMPTY_DATA_FRAMES_MAX,
    first: [headers(1, REQUEST)],
    round: () => [data(1, "")],
  },
  {
    name: "empty DATA with padding",
    limit: EMPTY_DATA_FRAMES_MAX,
    first: [headers(1, REQUEST)],
    round: () => [raw(0, 8, 1, "\x02\0\0")],
  },
  {
    name: "RST_STREAM on a closed stream",
    limit: STRAY_FRAMES_MAX,
    first: [headers(1, REQUEST), rstStream(1, "CANCEL")],
    round: () => [rstStream(1, "CANCEL")],
  },
  {
    name: "CONTINUATION",
    limit: CONTINUATIONS_MAX,
    first: [raw(HEADERS, 0, 1, literals(get()))],
    round: () => [raw(CONTINUATION, 0, 1)],
  },
];
