/** `bowline analyze DIR`: what is wrong, or probably not meant, in resources each and across them, with Istio's codes. */
import { type Finding, SEVERITIES, type Severity } from "../config/finding.ts";
import { readConfig } from "./config_files.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { SEVERITY_STYLES } from "./findings.ts";
import { type OutputFormat, plural, printable, printData, printMessage, styled } from "./output.ts";

export interface AnalyzeOptions {
  readonly output: OutputFormat;
  /** Findings of this severity and above make the command end with 79. */
  readonly failureThreshold: Severity;
  /** `CODE`, or `CODE=RESOURCE` with `*` for any characters: `IST0101=VirtualService reviews.*`. */
  readonly suppress: readonly string[];
}

/** What `-o json` prints. */
interface Report {
  readonly files: number;
  readonly resources: number;
  readonly suppressed: number;
  readonly findings: readonly Finding[];
}

/** Prints what it found; 79 when there is something as severe as the threshold. Throws CommandError. */
export async function runAnalyze(path: string, options: AnalyzeOptions): Promise<ExitCode> {
  const suppressed = options.suppress.map(suppression);
  const { resources, findings, resourceCount, files } = await readConfig(path);
  const shown = findings.filter((finding) => !suppressed.some((covers) => covers(finding)));
  const report: Report = {
    files,
    resources: resourceCount,
    suppressed: findings.length - shown.length,
    findings: shown,
  };
  await printData(options.output, report, () => shown.map(analyzeLine).join("\n"));
  if (resources === null) {
    printMessage("Mistakes across resources are looked for once every resource is valid");
  } else if (shown.length === 0) {
    printMessage(
      `No issues found in ${path}: ${plural(resourceCount, "resource")} in ${plural(files, "file")}`,
    );
  }
  const threshold = SEVERITIES.indexOf(options.failureThreshold);
  const failed = shown.some(({ severity }) => SEVERITIES.indexOf(severity) >= threshold);
  return failed ? EXIT.findings : EXIT.ok;
}

/** `Error [IST0101] (VirtualService reviews.default vs.yaml:12) spec.http[0]: MESSAGE; HINT`, as Istio's own tool writes. */
function analyzeLine(finding: Finding): string {
  const { severity, code, file, line, field, message, hint } = finding;
  const level = severity.charAt(0).toUpperCase() + severity.slice(1);
  const name = istioName(finding);
  const where = `${name === null ? "" : `${name} `}${file}:${line}`;
  const what = `${field === null ? "" : `${field}: `}${message}${hint === null ? "" : `; ${hint}`}`;
  return `${styled("stdout", SEVERITY_STYLES[severity], level)} ${printable(`[${code}] (${where}) ${what}`)}`;
}

/** `KIND NAME.NAMESPACE`; null where no resource could be read. */
function istioName({ resource }: Finding): string | null {
  const parts = /^(\S+) ([^/]+)\/(.+)$/.exec(resource ?? "");
  return parts && `${parts[1]} ${parts[3]}.${parts[2]}`;
}

function suppression(text: string): (finding: Finding) => boolean {
  const [code = "", pattern] = text.split("=", 2);
  if (!/^(?:IST|BOW)\d{4}$/.test(code)) {
    throw new CommandError(
      EXIT.usage,
      `${JSON.stringify(text)} suppresses nothing: it begins with no code`,
      "for instance --suppress IST0101 or --suppress 'IST0101=VirtualService reviews.*'",
    );
  }
  if (pattern === undefined) return (finding) => finding.code === code;
  const literal = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const whole = new RegExp(`^${literal.join(".*")}$`);
  return (finding) => finding.code === code && whole.test(istioName(finding) ?? "");
}
