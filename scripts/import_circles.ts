/** Files that import each other, straight or by way of others: none can be understood, tested or loaded without the rest. */

/** One way round for each file that is on any; `imports` are the files that each file imports. */
export function importCircles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const circles: string[][] = [];
  const path: string[] = [];

  function visit(file: string): void {
    const start = path.indexOf(file);
    if (start >= 0) circles.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const imported of imports.get(file) ?? []) visit(imported);
    path.pop();
    done.add(file);
  }

  for (const file of imports.keys()) visit(file);
  return circles;
}
