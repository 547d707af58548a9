/** Limits of the HTTP/2 codec beside those that can be set (model/limits.ts). A peer that goes beyond one gets GOAWAY ENHANCE_YOUR_CALM, or what is said there. */

/** The largest frame that we take: the default of SETTINGS_MAX_FRAME_SIZE; above: FRAME_SIZE_ERROR. */
export const FRAME_BYTES_MAX = 16 * 1024;
/** Octets of a header block as it travels, over all its frames, beyond the bytes that may be in its list. */
export const HEADER_BLOCK_EXTRA_BYTES = 4 * 1024;
/** The same where the peer is another proxy, whose own limits may be wider: it is told 431, and the connection goes on. */
export const MESH_HEADER_BLOCK_BYTES_MAX = 1024 * 1024;
/** Frames of a header block. */
export const CONTINUATIONS_MAX = 64;
/** Streams that a peer opened and reset, or made us reset, before they were answered; one that ends makes up for one. */
export const PREMATURE_RESETS_MAX = 250;
/** Answers to PING and SETTINGS beyond what the socket takes, because the peer does not read. */
export const CONTROL_FRAMES_WAITING_MAX = 1_000;
/** PING and SETTINGS frames between two frames that belong to a stream, from either side, … */
export const CONTROL_FRAMES_IDLE_MAX = 1_000;
/** … and within so long: who keeps a quiet connection alive sends more of them over the hours. */
export const CONTROL_FRAMES_IDLE_MS = 60_000;
/** DATA frames without data and without END_STREAM, one after the other. */
export const EMPTY_DATA_FRAMES_MAX = 1;
/** PRIORITY frames for each stream, and for none. */
export const PRIORITY_FRAMES_PER_STREAM_MAX = 100;
/** WINDOW_UPDATE frames beyond two for each stream, and twenty for each DATA frame and each KiB in it. */
export const WINDOW_UPDATES_EXTRA_MAX = 5;
/** Frames on streams that are closed already, one after the other; DATA that was on its way does not count. */
export const STRAY_FRAMES_MAX = 1_000;
/** Streams that we reset and remember, since more of them may be on its way. */
export const RECENT_RESETS_MAX = 1_000;
/** A stream that lived longer than this before the peer reset it was no rapid reset: somebody's patience ended. */
export const PREMATURE_RESET_AGE_MS = 1_000;
/** From then on a reset of ours is no rapid one to a peer that counts as we do, by a clock of its own. */
export const ABANDONED_MS = PREMATURE_RESET_AGE_MS + 500;
/** Bytes that wait for a peer that does not read: body stops long before, what is beyond it are heads of answers. */
export const UNSENT_BYTES_MAX = 2 * 1024 * 1024;
/** With more than that waiting a peer is not read; one that takes nothing within so long is given up. */
export const UNREAD_TIMEOUT_MS = 10_000;

/**
 * The rest of a request that is answered already is thrown away for so long, then the client is told to stop (RFC 9113
 * §8.1). Some clients, curl 7.88 among them, take that for a failure if it comes right behind the answer.
 */
export const LINGER_MS = 1_000;

/** In a drain the peer gets this long to answer the PING that says that it has heard of it. */
export const DRAIN_PING_TIMEOUT_MS = 1_000;
