/** What of the control plane's log is worth a line at the terminal of `bowline demo`: what became of an edit. */

/** The line to print, or null. `started`: the mesh is up, so that a generation that loads is an edit of the user's. */
export function newsOf(line: string, started: boolean): string | null {
  const entry = parse(line);
  if (entry === null) return null;
  const { level, message, generation } = entry;
  if (generation === undefined) return level === "info" ? null : message;
  return level === "info" && !started ? null : `${message} (generation ${generation})`;
}

interface Entry {
  readonly level: string;
  readonly message: string;
  /** Of the configuration that serves. */
  readonly generation?: number;
}

function parse(line: string): Entry | null {
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return null;
  }
}
