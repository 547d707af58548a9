/** What an error says, for logs and answers: its sentence, without the name of its class. */
export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}
