/** A text of several YAML documents in pieces that can be read by themselves, so that an edit costs what it touches. */

/** One document, with its marker. */
export interface Section {
  readonly text: string;
  /** Number of its first line in the whole text, from 1. */
  readonly line: number;
}

/**
 * Cut at each line that begins a document: nothing in YAML goes on past one (1.2 §9.1.2). Null when something outside of
 * the documents may have a say in them, a directive or an end marker; blank pieces are left out.
 */
export function sectionsOf(text: string): readonly Section[] | null {
  const sections: Section[] = [];
  let [start, line] = [0, 1];
  for (let at = 0; at < text.length; at = nextLine(text, at)) {
    if (text.startsWith("%", at) || isMarker(text, at, "...")) return null;
    if (at === start || !isMarker(text, at, "---")) continue;
    const section = text.slice(start, at);
    if (section.trim() !== "") sections.push({ text: section, line });
    line += countLineEnds(section);
    start = at;
  }
  const last = text.slice(start);
  if (last.trim() !== "") sections.push({ text: last, line });
  return sections;
}

function nextLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}

function isMarker(text: string, at: number, marker: string): boolean {
  return text.startsWith(marker, at) && /^[ \t\r\n]?$/.test(text.charAt(at + marker.length));
}

function countLineEnds(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
