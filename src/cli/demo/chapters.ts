/** The chapters of the tutorial: what each is called, and what to look for in it. */

/** Asked of the program of version 2 itself, past its sidecar; `app.ts` says what it makes of the path. */
const V2 = "curl http://127.0.0.22:8080";

/** In the order in which they are best read; a name is that of a directory in `config/tutorial/`. */
export const CHAPTERS = [
  chapter("all-to-v2", "every request to version 2", "every answer comes from v2"),
  chapter("all-to-v1", "every request to version 1", "every answer comes from v1"),
  chapter("split-50-50", "half of them to each", "v1 and v2 answer as a coin falls"),
  chapter("split-90-10", "nine of ten to version 1", "one answer of ten comes from v2"),
  chapter("user-agent", "Safari to version 1", "curl -A Safari is answered by v1, everybody else by v2"),
  chapter(
    "mirroring",
    "a copy of each request to version 2",
    "every answer comes from v1, and the graph shows as many calls of v2",
  ),
  chapter("load-balancing", "v1 and v2 in turn", "v1 and v2 answer in turn"),
  chapter(
    "retry",
    "what fails is tried elsewhere",
    `${V2}/misbehave makes v2 answer 503, and no caller hears of it`,
    `${V2}/behave ends that`,
  ),
  chapter(
    "timeout",
    "nobody waits for more than a second",
    `${V2}/slow makes v2 take 3 s, and its callers get 504 after one`,
    `${V2}/behave ends that`,
  ),
  chapter(
    "circuit-breaking",
    "one request at a time, and none to who fails",
    `${V2}/slow, then several calls at once: those that come while v2 thinks are refused`,
    `${V2}/misbehave: after one 503 only v1 is called for 5 s`,
    `${V2}/behave ends both`,
  ),
  chapter(
    "abort",
    "half of the requests fail with 503",
    "half of the answers are 503, and v1 and v2 are well",
  ),
  chapter("delay", "half of the requests wait for 2 s", "half of the answers take 2 s"),
  chapter(
    "egress",
    "calls leave the mesh for declared hosts only",
    "curl -x http://127.0.0.11:15001 http://weather.example.com/, as customer would: it is sunny",
    "curl -x http://127.0.0.11:15001 http://127.0.0.20:8080/: nobody declared that",
  ),
] as const;

export type ChapterName = typeof CHAPTERS[number]["name"];

export interface Chapter {
  /** The argument of `bowline demo`. */
  readonly name: ChapterName;
  /** What its rules do, as the help lists it. */
  readonly title: string;
  /** What to see of it, for whoever has the demo before them; lines. */
  readonly look: readonly string[];
}

/** A demo that is not told otherwise begins with this. */
export const DEFAULT_CHAPTER: ChapterName = "split-90-10";

/** Undefined when there is none of that name. */
export function chapterNamed(name: string): Chapter | undefined {
  return CHAPTERS.find((one) => one.name === name);
}

/** For the help, a line for each. */
export function chapterList(): string {
  const width = Math.max(...CHAPTERS.map(({ name }) => name.length));
  return CHAPTERS.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`).join("\n");
}

function chapter<Name extends string>(name: Name, title: string, ...look: readonly string[]) {
  return { name, title, look };
}
