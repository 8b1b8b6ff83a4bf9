import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "./parse-command.ts";
import { readReport } from "./read-report.ts";

describe("readReport", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "larder-report-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const read = async (text: string): Promise<unknown> => {
    const file = join(folder, "result.json");
    await writeFile(file, text);
    return readReport(file);
  };

  it.each([
    ["no JSON", "{", "is not JSON"],
    ["none of the bench's", "{}", "has no list of scenarios"],
    ["of another format", '{"format":2,"scenarios":[]}', "has format 2"],
    ["a part of one", '{"format":1,"scenarios":[{"name":"keys"}]}', "its scenario 1 has no outcome"],
  ])("says what is wrong with a file that is %s, without a stack: it is the caller's to name another", async (_, text, what) => {
    const reading = read(text);
    await expect(reading).rejects.toThrow(UsageError);
    await expect(reading).rejects.toThrow(what);
  });

  it("says so where there is no file", async () => {
    await expect(readReport(join(folder, "none.json"))).rejects.toThrow(UsageError);
  });
});
