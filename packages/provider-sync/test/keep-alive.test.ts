import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@larder/cache-testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSqliteDriver } from "../src/sql/sqlite-driver.ts";
import { bundleChild } from "./support/bundle-child.ts";

let bundle: string;
let folder: string;
beforeAll(async () => {
  bundle = await bundleChild("lonely-child");
  folder = mkdtempSync(join(tmpdir(), "larder-lonely-"));
});
afterAll(() => {
  rmSync(bundle, { force: true });
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the program to its end. Node ends it with 13 when it waits for something that keeps no process alive. */
async function run(...operands: readonly string[]): Promise<{ readonly code: unknown; readonly out: string }> {
  const child = spawn(process.execPath, [bundle, ...operands], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  const [code] = (await once(child, "close")) as [unknown];
  return { code, out: out.trim() };
}

it("a program that only waits for a run lives through its retries, and gets the report", async () => {
  expect(await run("upstream-away", `http://127.0.0.1:${await freePort()}/models`)).toEqual({ code: 0, out: "failed network" });
});

it("a program that only waits for a busy file lives until the store says so", async () => {
  const path = join(folder, "busy.db");
  const holder = await openSqliteDriver(path);
  holder.execute("BEGIN EXCLUSIVE");
  expect(await run("file-busy", path)).toEqual({ code: 0, out: "refused ERR_CACHE_BACKEND" });
  holder.execute("ROLLBACK");
  holder.close();
});
