/** Tells code, string contents and comments of a TypeScript file apart, as far as the repository's own checks need it. */

export interface SourceText {
  /** The file with everything but code blanked out; lines and columns stay where they were. */
  readonly code: string;
  /** Code and string contents, without comments. */
  readonly codeAndStrings: string;
  /** Comments alone. */
  readonly comments: string;
}

type Kind = "code" | "string" | "comment";

/** After one of these a slash begins a regular expression, otherwise it divides. */
const BEFORE_REGEX = /(?:^|[-+*%=<>!&|^~?:;,([{}]|\b(?:return|typeof|case|in|of|do|else|yield|await))\s*$/;

/** How far back to look for what stands before a slash. */
const LOOK_BACK_CHARACTERS = 40;

export function splitSource(text: string): SourceText {
  const parts: { kind: Kind; from: number; to: number }[] = [];
  // Braces that are open inside each `${`: a template goes on when the last one closes.
  const templates: number[] = [];
  let at = 0;
  const take = (kind: Kind, to: number) => {
    parts.push({ kind, from: at, to });
    at = to;
  };
  const takeTemplate = () => {
    const end = templateEnd(text, at + 1);
    if (text.startsWith("${", end - 2)) templates.push(0);
    take("string", end);
  };
  while (at < text.length) {
    const character = text[at] as string;
    if (text.startsWith("//", at)) take("comment", indexOrEnd(text, "\n", at));
    else if (text.startsWith("/*", at)) take("comment", indexOrEnd(text, "*/", at + 2) + 2);
    else if (character === '"' || character === "'") take("string", quoteEnd(text, at));
    else if (character === "`") takeTemplate();
    else if (character === "}" && templates.at(-1) === 0) {
      templates.pop();
      takeTemplate();
    } else if (character === "/" && isRegexStart(text, at)) take("string", regexEnd(text, at));
    else {
      if (templates.length > 0) countBrace(templates, character);
      take("code", at + 1);
    }
  }
  return {
    code: blankExcept(text, parts, ["code"]),
    codeAndStrings: blankExcept(text, parts, ["code", "string"]),
    comments: blankExcept(text, parts, ["comment"]),
  };
}

/** Number of the line, from 1, on which a character stands. */
export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

function blankExcept(
  text: string,
  parts: readonly { kind: Kind; from: number; to: number }[],
  kept: readonly Kind[],
): string {
  return parts.map(({ kind, from, to }) => {
    const part = text.slice(from, to);
    return kept.includes(kind) ? part : part.replace(/[^\n]/g, " ");
  }).join("");
}

function countBrace(templates: number[], character: string): void {
  const last = templates.length - 1;
  if (character === "{") templates[last] = (templates[last] as number) + 1;
  if (character === "}") templates[last] = (templates[last] as number) - 1;
}

function indexOrEnd(text: string, part: string, from: number): number {
  const index = text.indexOf(part, from);
  return index === -1 ? text.length : index;
}

function quoteEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === text[start] || text[at] === "\n") return at + 1;
  }
  return text.length;
}

/** Just after the closing backtick, or after the next `${`. */
function templateEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "`") return at + 1;
    else if (text.startsWith("${", at)) return at + 2;
  }
  return text.length;
}

function isRegexStart(text: string, at: number): boolean {
  return BEFORE_REGEX.test(text.slice(Math.max(0, at - LOOK_BACK_CHARACTERS), at));
}

function regexEnd(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === "\n") return at;
    else if (character === "[") inClass = true;
    else if (character === "]") inClass = false;
    else if (character === "/" && !inClass) return at + 1;
  }
  return text.length;
}
