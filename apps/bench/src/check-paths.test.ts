import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkPaths } from "./check-paths.ts";
import { UsageError } from "./parse-command.ts";

describe("checkPaths", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "larder-paths-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const check = (files: { json?: string; html?: string; markdown?: string }): Promise<void> =>
    checkPaths({ files, replay: undefined, traces: undefined });

  it("takes files that can be written, whether they are there or not", async () => {
    await check({ json: join(folder, "result.json"), html: join(folder, "report.html"), markdown: import.meta.filename });
  });

  it("refuses a file in a folder that is not there", async () => {
    await expect(check({ html: join(folder, "none", "report.html") })).rejects.toThrow("--html");
  });

  it("refuses a folder before anything is measured: the report could not take its place when all is", async () => {
    await expect(check({ json: folder })).rejects.toThrow(UsageError);
    await expect(check({ json: folder })).rejects.toThrow("is a folder: name a file in it");
  });
});
