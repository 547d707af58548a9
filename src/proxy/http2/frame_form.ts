/** What the form of a frame alone says (RFC 9113 §6): on which stream it may stand, and how long it is. */
import { type ConnectionError, frameSizeError, protocolError } from "./connection_error.ts";
import type { Frame } from "./frame_reader.ts";
import { Flag, FrameType } from "./frames.ts";

/** Null: well formed. */
export function checkForm(frame: Frame): ConnectionError | null {
  const { streamId, length } = frame;
  switch (frame.type) {
    case FrameType.Data:
      return streamId === 0 ? protocolError("http2.data_on_connection") : null;
    case FrameType.Headers:
      return streamId === 0 ? protocolError("http2.headers_on_connection") : null;
    case FrameType.Priority:
      return streamId === 0 ? protocolError("http2.priority_on_connection") : null;
    case FrameType.RstStream:
      return length === 4 ? null : frameSizeError("http2.rst_size");
    case FrameType.Settings:
      if (streamId !== 0) return protocolError("http2.settings_on_stream");
      if (frame.has(Flag.Ack)) return length === 0 ? null : frameSizeError("http2.settings_ack_size");
      return length % 6 === 0 ? null : frameSizeError("http2.settings_size");
    case FrameType.Ping:
      if (streamId !== 0) return protocolError("http2.ping_on_stream");
      return length === 8 ? null : frameSizeError("http2.ping_size");
    case FrameType.GoAway:
      if (streamId !== 0) return protocolError("http2.goaway_on_stream");
      return length >= 8 ? null : frameSizeError("http2.goaway_size");
    case FrameType.WindowUpdate:
      return length === 4 ? null : frameSizeError("http2.window_update_size");
    default:
      return null;
  }
}
