/** The executable's entry: arguments in, one command, exit code out. */
import { reportFailure } from "./cli/failures.ts";
import { runProgram } from "./cli/program.ts";
import { exitProcess, onUncaughtError, programArguments } from "./runtime/process.ts";

onUncaughtError((error) => exitProcess(reportFailure(error)));
exitProcess(await runProgram(programArguments()));
