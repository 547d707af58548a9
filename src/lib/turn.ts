/** Work for the end of the event loop's turn, and for the end of a callback within it. */

/** After all sockets that were ready have been heard. */
export function afterTurn(callback: () => void): void {
  setImmediate(callback);
}

function nothing(): void {}

/** How many callbacks are under way, one within the other. */
let depth = 0;
/** For the end of the outermost one, in their order; beyond `waiting` there is nothing of meaning. */
const callbacks: (() => void)[] = [];
let waiting = 0;

/** When the callback is over that runs now. A microtask would be as soon, and costs 600 instructions of the engine's. */
export function afterCallback(callback: () => void): void {
  if (depth === 0) queueMicrotask(callback);
  else callbacks[waiting++] = callback;
}

/** Begins a callback of the runtime's; `endCallback` follows, whatever happens in it. */
export function beginCallback(): void {
  depth++;
}

/** Does what is waiting for the end of the callback, and what that still adds. */
export function endCallback(): void {
  if (depth > 1 || waiting === 0) {
    depth--;
    return;
  }
  let done = 0;
  try {
    while (done < waiting) {
      const callback = callbacks[done] as () => void;
      // Whoever waited is not kept alive until somebody else does.
      callbacks[done++] = nothing;
      callback();
    }
  } finally {
    // After an error in one of them the others still come.
    for (; done < waiting; done++) queueMicrotask(callbacks[done] as () => void);
    waiting = 0;
    depth--;
  }
}
