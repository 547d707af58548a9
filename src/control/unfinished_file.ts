/** Tells from its text whether a file may be in the middle of being written. */

/** So many of a file's last lines must stand elsewhere in the file before, for it to be taken for a part of that. */
const LINES_COMPARED = 3;

/**
 * Whether the text breaks off in a line, has become empty, or ends where the text before went on; the last counts for
 * nothing once who wrote it has closed it (`isDone`). Somebody may want it so: whoever asks can only wait a little.
 */
export function looksUnfinished(text: string, before: string | undefined, isDone: boolean): boolean {
  if (text.trim() === "") return before !== undefined && before.trim() !== "";
  if (!text.endsWith("\n")) return before === undefined || before.endsWith("\n");
  return !isDone && before !== undefined && endsInside(text, before);
}

function endsInside(text: string, before: string): boolean {
  const end = lastLines(text);
  return !before.endsWith(end) && before.includes(end);
}

function lastLines(text: string): string {
  let start = text.length - 1;
  for (let line = 0; line < LINES_COMPARED && start > 0; line++) start = text.lastIndexOf("\n", start - 1);
  return text.slice(Math.max(0, start));
}
