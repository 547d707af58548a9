/** Text that somebody wrote, in a sentence: in quotes, and with its control characters escaped. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
