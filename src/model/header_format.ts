/** What a rule writes into a header, with Envoy's command operators in it: `from %REQ(x-user?:authority):64%`. */

/** Commands that need no answer yet; ANSWER_COMMANDS are about the answer. */
const REQUEST_COMMANDS = ["REQ", "PROTOCOL", "START_TIME", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] as const;
const ANSWER_COMMANDS = ["RESP", "RESPONSE_CODE"] as const;

type CommandName = typeof REQUEST_COMMANDS[number] | typeof ANSWER_COMMANDS[number];

export interface HeaderCommand {
  readonly command: CommandName;
  /** Of REQ and RESP: the first that is there counts. Lower case, `:method` and the like too. */
  readonly headers: readonly string[];
  /** In characters. */
  readonly maxLength: number;
}

/** Text that stands for itself, or a command. */
export type HeaderPart = string | HeaderCommand;

/** A command that is none of these; one that has no, or another, argument; a percent sign that begins none. */
export interface FormatFault {
  readonly fault: "unknown" | "argument" | "percent";
  readonly at: string;
}

const PATTERN = /%%|%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%|%/g;
const NAME = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Of headers that only proxies see. */
const OWN_PREFIX = "x-bowline-";

export function parseHeaderFormat(text: string): readonly HeaderPart[] | FormatFault {
  const parts: HeaderPart[] = [];
  let end = 0;
  let literal = "";
  for (const match of text.matchAll(PATTERN)) {
    const [whole, name, argument, length] = match;
    literal += text.slice(end, match.index);
    end = match.index + whole.length;
    if (whole === "%%") {
      literal += "%";
      continue;
    }
    if (name === undefined) return { fault: "percent", at: text.slice(match.index) };
    const command = commandOf(name, argument, length);
    if ("fault" in command) return command;
    if (literal !== "") parts.push(literal);
    literal = "";
    parts.push(command);
  }
  literal += text.slice(end);
  return literal === "" && parts.length > 0 ? parts : [...parts, literal];
}

/** Whether it can be made only once there is an answer. */
export function asksForAnswer(parts: readonly HeaderPart[]): boolean {
  return parts.some((part) =>
    typeof part !== "string" && (ANSWER_COMMANDS as readonly string[]).includes(part.command)
  );
}

function commandOf(
  name: string,
  argument: string | undefined,
  length = "Infinity",
): HeaderCommand | FormatFault {
  const known: readonly string[] = [...REQUEST_COMMANDS, ...ANSWER_COMMANDS];
  if (!known.includes(name)) return { fault: "unknown", at: `%${name}%` };
  const headers = argument === undefined ? [] : argument.toLowerCase().split("?");
  const takesNames = name === "REQ" || name === "RESP";
  const fits = takesNames
    ? headers.length > 0 && headers.length <= 2 && headers.every(isReadable)
    : argument === undefined;
  if (!fits) return { fault: "argument", at: `%${name}${argument === undefined ? "" : `(${argument})`}%` };
  return { command: name as CommandName, headers, maxLength: Number(length) };
}

function isReadable(header: string): boolean {
  return NAME.test(header) && !header.startsWith(OWN_PREFIX);
}
