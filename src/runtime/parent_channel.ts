/** The child's end of what worker_process.ts opens: messages from and to the process that started this one. */

export interface ParentChannelEvents {
  message(message: unknown): void;
  /** The parent is gone. Called once. */
  closed(): void;
}

export interface ParentChannel {
  /** Plain data. Never throws; `sent` is called when the parent has it, or never will. */
  send(message: object, sent?: () => void): void;
}

/** Null when this process was not started by startWorkerProcess(). */
export function openParentChannel(events: ParentChannelEvents): ParentChannel | null {
  if (process.send === undefined) return null;
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    events.closed();
  };
  process.on("disconnect", close);
  process.on("message", (message) => events.message(message));
  // The parent may have gone before anybody listened.
  if (!process.connected) queueMicrotask(close);
  return {
    send(message, sent = () => {}) {
      if (!process.connected) return sent();
      process.send?.(message, undefined, undefined, () => sent());
    },
  };
}
