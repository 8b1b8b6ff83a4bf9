import { readFile } from "node:fs/promises";
import { UsageError } from "./parse-command.ts";

/** One request of a log. */
export interface LoggedRequest {
  /** Milliseconds from the earliest request of the log. */
  readonly atMs: number;
  /** The request's JSON body as text. */
  readonly body: string;
}

/**
 * Reads a request log: one JSON object a line, `{ "atMs": 12, "body": { "model": … } }`. Instants may be epoch times, in any order: they count from
 * the earliest. Models and contents go to servers of the bench alone, never to a provider.
 * @throws {UsageError} naming the file that cannot be read or is empty, or the line that is not one
 */
export async function readReplayLog(file: string): Promise<LoggedRequest[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`the request log ${file} cannot be read: ${error.code}`);
  });
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const requests = lines.map((line, index) => {
    try {
      const { atMs, body } = JSON.parse(line) as { atMs?: unknown; body?: unknown };
      if (typeof atMs === "number" && typeof body === "object" && body !== null) return { atMs, body: JSON.stringify(body) };
    } catch {
      // Told below, with the line's number.
    }
    throw new UsageError(`line ${index + 1} of the request log is not one: write one {"atMs":0,"body":{…}} a line`);
  });
  if (requests.length === 0) throw new UsageError(`the request log ${file} has no request in it`);
  const startMs = requests.reduce((earliest, { atMs }) => Math.min(earliest, atMs), Number.POSITIVE_INFINITY);
  return requests.map(({ atMs, body }) => ({ atMs: atMs - startMs, body })).sort((one, other) => one.atMs - other.atMs);
}
