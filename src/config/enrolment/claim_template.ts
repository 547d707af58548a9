/**
 * Claims of a token by their names, as Istio's `request.auth.claims[a][b]` has them: `claims[kubernetes.io][namespace]`.
 * Brackets, since names have dots. A template is text with such names in braces.
 */

/** Names from the outermost object inwards. */
export type ClaimPath = readonly string[];

/** Text, and claims whose values stand there. */
export type ClaimTemplate = readonly (string | ClaimPath)[];

const PATH = /^claims((?:\[[^[\]{}]+\])+)$/;
const PIECE = /\{([^{}]*)\}|([^{}]+)/gy;

/** Null when the text is none. */
export function parseClaimPath(text: string): ClaimPath | null {
  const names = PATH.exec(text)?.[1];
  return names === undefined ? null : names.slice(1, -1).split("][");
}

/** As parseClaimPath() takes it. */
export function formatClaimPath(path: ClaimPath): string {
  return `claims${path.map((name) => `[${name}]`).join("")}`;
}

/** Null when a brace stands alone, or what is in braces is no claim. */
export function parseClaimTemplate(text: string): ClaimTemplate | null {
  const parts: (string | ClaimPath)[] = [];
  let end = 0;
  for (const [piece, inBraces, plain] of text.matchAll(PIECE)) {
    end += piece.length;
    const part = plain ?? parseClaimPath(inBraces as string);
    if (part === null) return null;
    parts.push(part);
  }
  return end === text.length ? parts : null;
}
