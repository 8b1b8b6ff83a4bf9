import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { UsageError } from "./parse-command.ts";
import { type LoggedRequest, readReplayLog } from "./replay-log.ts";

async function read(lines: readonly string[]): Promise<LoggedRequest[]> {
  const folder = await mkdtemp(join(tmpdir(), "larder-replay-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "requests.jsonl");
  await writeFile(file, lines.join("\n"));
  return readReplayLog(file);
}

const line = (atMs: number, n: number): string => JSON.stringify({ atMs, body: { n } });

describe("readReplayLog", () => {
  it("counts from the earliest request, which is not the first line of a log written as requests end: what is due before the start would be late already", async () => {
    const at = 1_795_000_000_000;
    const requests = await read([line(at + 30_000, 1), line(at, 2), line(at + 10, 3)]);
    expect(requests).toEqual([
      { atMs: 0, body: '{"n":2}' },
      { atMs: 10, body: '{"n":3}' },
      { atMs: 30_000, body: '{"n":1}' },
    ]);
  });

  it("refuses a log without a request, whose replay would take no time, and names the line that is none", async () => {
    await expect(read(["", " "])).rejects.toThrow(UsageError);
    await expect(read(["", " "])).rejects.toThrow("has no request in it");
    await expect(read([line(0, 1), "{}"])).rejects.toThrow("line 2 of the request log is not one");
  });
});
