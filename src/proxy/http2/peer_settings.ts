/** SETTINGS (RFC 9113 §6.5.2): what we say of ourselves, and what the peer's change on our side. */
import { ConnectionError, protocolError } from "./connection_error.ts";
import { DEFAULT_FRAME_BYTES_MAX, ErrorCode, Setting, WINDOW_BYTES_MAX } from "./frames.ts";
import type { FrameWriter } from "./frame_writer.ts";
import type { Limits } from "../../model/limits.ts";
import type { HpackEncoder } from "./hpack/encoder.ts";
import type { SendWindows } from "./send_windows.ts";
import type { Http2Stream } from "./stream.ts";
import type { StreamTable } from "./stream_table.ts";

const FRAME_BYTES_LARGEST = 0xffffff;

/** What both ends of ours say; `listBytesMax`: bytes of a header list of the peer's. */
export function ownSettings(limits: Limits, listBytesMax: number): readonly (readonly [number, number])[] {
  return [
    [Setting.MaxConcurrentStreams, limits.http2Streams],
    [Setting.InitialWindowSize, limits.http2StreamWindowBytes],
    [Setting.MaxHeaderListSize, listBytesMax],
  ];
}

export interface PeerSettingsTarget {
  readonly encoder: HpackEncoder;
  readonly frames: FrameWriter;
  readonly windows: SendWindows;
  readonly streams: StreamTable<Http2Stream>;
  /** The peer's SETTINGS_ENABLE_PUSH may not be above it: only a client may say 1. */
  readonly enablePushMax: 0 | 1;
  /** The peer takes extended CONNECT (RFC 8441 §3). */
  takesUpgrades: boolean;
  /** The peer's limit on streams that we open. */
  setStreamsMax(streams: number): void;
}

/** Null: applied, or unknown and ignored. */
export function applySetting(
  name: number,
  value: number,
  target: PeerSettingsTarget,
): ConnectionError | null {
  switch (name) {
    case Setting.HeaderTableSize:
      target.encoder.setTableSize(value);
      return null;
    case Setting.EnablePush:
      return value > target.enablePushMax ? protocolError("http2.enable_push") : null;
    case Setting.EnableConnectProtocol:
      target.takesUpgrades = value === 1;
      return value > 1 ? protocolError("http2.enable_connect_protocol") : null;
    case Setting.MaxConcurrentStreams:
      target.setStreamsMax(value);
      return null;
    case Setting.InitialWindowSize:
      return value <= WINDOW_BYTES_MAX && target.windows.setInitial(value, target.streams.all())
        ? null
        : new ConnectionError(ErrorCode.FlowControlError, "http2.initial_window");
    case Setting.MaxFrameSize:
      if (value < DEFAULT_FRAME_BYTES_MAX || value > FRAME_BYTES_LARGEST) {
        return protocolError("http2.max_frame_size");
      }
      target.frames.frameBytesMax = value;
      return null;
    default:
      return null;
  }
}
