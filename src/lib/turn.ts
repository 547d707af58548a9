/** Work for the end of the event loop's turn: after all sockets that were ready have been heard. */

export function afterTurn(callback: () => void): void {
  setImmediate(callback);
}
