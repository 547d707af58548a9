import { expect, test } from "bun:test";
import { join } from "node:path";

const MODULE = JSON.stringify(join(import.meta.dir, "../../../src/runtime/log_output.ts"));

/** Runs the script in a shell with `pipe`, which nobody reads of himself, as descriptor 3; what is printed. */
function shell(command: string, script: string): string {
  const pipe = `d=$(mktemp -d); mkfifo $d/pipe; exec 3<>$d/pipe; rm -r $d; ${command}`;
  const { stdout } = Bun.spawnSync(["/bin/sh", "-c", pipe], {
    env: {
      ...process.env,
      BUN: process.execPath,
      SCRIPT: `import { createLogOutput } from ${MODULE};${script}`,
    },
  });
  return stdout.toString().trim();
}

/** Writes 400 lines of a thousand bytes, which is more than a pipe holds. */
const LINES = `
  const write = createLogOutput();
  const took = { true: 0, false: 0 };
  for (let i = 0; i < 400; i++) took[write("x".repeat(999) + "\\n")]++;
  console.log(JSON.stringify(took));`;

test("createLogOutput() waits for nobody who does not read, and says which lines are lost", () => {
  const [took = "", read] = shell(`"$BUN" -e "$SCRIPT" 2>&3; head -n 10 <&3 | wc -c`, LINES).split("\n");
  const { true: taken, false: lost } = JSON.parse(took);
  expect([taken > 10, lost > 100, taken + lost, read]).toEqual([true, true, 400, "10000"]);
});

test("createLogOutput() begins a line where it could write a part of one alone", () => {
  const script = `import { readSync } from "node:fs";
    const write = createLogOutput();
    const long = "x".repeat(9_999) + "\\n";
    while (write(long));
    readSync(3, Buffer.alloc(1_000_000));
    write("whole\\n");
    const last = Buffer.alloc(100);
    console.log(JSON.stringify(last.toString("latin1", 0, readSync(3, last))));`;
  expect(shell(`"$BUN" -e "$SCRIPT" 2>&3`, script)).toBe(JSON.stringify("\nwhole\n"));
});

test("createLogOutput() writes all of it to a file, and to whoever reads", () => {
  const file = `"$BUN" -e "$SCRIPT" 2>$d >/dev/null; wc -c <$d; rm $d`;
  expect(shell(file, LINES)).toBe("400000");
  const pipe = `"$BUN" -e "$SCRIPT" 2>&1 >/dev/null | wc -c`;
  expect(shell(pipe, `createLogOutput()("x".repeat(50_000))`)).toBe("50000");
});

test("createLogOutput() goes on where the disk is full", () => {
  const script = `const write = createLogOutput(); console.log(write("a\\n"), write("b\\n"));`;
  expect(shell(`"$BUN" -e "$SCRIPT" 2>/dev/full`, script)).toBe("false false");
});

test("createLogOutput() loses a line where a signal ends the wait for room, as nobody knows that there is any", () => {
  const script = `const results = [-1, 0, 1];
    const write = createLogOutput(() => results.shift());
    console.log(write("a"), write("b"), write("c"));`;
  expect(shell(`"$BUN" -e "$SCRIPT" 2>&3; head -c 1 <&3`, script)).toBe("false false true\nc");
});
