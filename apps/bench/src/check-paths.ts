import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Command, UsageError } from "./parse-command.ts";
import { traceNames } from "./policies/traces.ts";
import { readReplayLog } from "./replay-log.ts";

/** Every path of a command line, before minutes of measuring depend on it. @throws {UsageError} naming the one that cannot be used */
export async function checkPaths(command: Pick<Extract<Command, { kind: "run" }>, "files" | "replay" | "traces">): Promise<void> {
  for (const [flag, file] of Object.entries(command.files)) {
    const folder = dirname(resolve(file));
    await access(folder, constants.W_OK).catch(() => {
      throw new UsageError(`--${flag} ${file}: the folder is not there or cannot be written to`);
    });
    // A report is made beside its place and renamed, which a folder of that name refuses when all has been measured.
    const there = await stat(file).catch(() => undefined);
    if (there?.isDirectory()) throw new UsageError(`--${flag} ${file} is a folder: name a file in it`);
  }
  if (command.replay) await readReplayLog(command.replay);
  if (command.traces && (await traceNames(command.traces)).length === 0) {
    throw new UsageError(`--traces ${command.traces}: there is no *.txt.gz in it`);
  }
}
