import { readFile } from "node:fs/promises";
import { UsageError } from "./parse-command.ts";
import { parseRunReport, type RunReport } from "./run-report.ts";

/** The text of a file that the command line names. @throws {UsageError} where there is none */
export async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${file} cannot be read: ${error.code}`);
  });
}

/** The report of an earlier run. @throws {UsageError} where the file is none: it is the caller's to name another */
export async function readReport(file: string): Promise<RunReport> {
  const text = await readText(file);
  try {
    return parseRunReport(text, file);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
