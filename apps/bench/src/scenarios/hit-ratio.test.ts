import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ScenarioContext, type ScenarioResult, ScenarioUnavailable } from "../scenario.ts";
import { hitRatioScenario } from "./hit-ratio.ts";

const LONG = 60_001;

/** Runs the scenario over traces of such bodies. */
async function play(bodies: Readonly<Record<string, Buffer>>, quick: boolean): Promise<ScenarioResult> {
  const tracesFolder = await mkdtemp(join(tmpdir(), "larder-traces-"));
  onTestFinished(() => rm(tracesFolder, { recursive: true, force: true }));
  for (const [name, body] of Object.entries(bodies)) await writeFile(join(tracesFolder, name), body);
  const { signal } = new AbortController();
  const progress = { update: () => {}, log: () => {} };
  return hitRatioScenario.run({ quick, seed: 1, tracesFolder, signal, progress } as unknown as ScenarioContext);
}

const trace = (accesses: number, keys: number): Buffer =>
  gzipSync(Array.from({ length: accesses }, (_, index) => `key ${index % keys}\n`).join(""));

describe("hit ratios over traces of one's own", () => {
  it("are no empty tables where a quick run leaves all traces out: it says how they are measured", async () => {
    const playing = play({ "mine.txt.gz": trace(LONG, 100) }, true);
    await expect(playing).rejects.toThrow(ScenarioUnavailable);
    await expect(playing).rejects.toMatchObject({ install: "run without --quick" });
  });

  it("say how many traces a quick run has left out", async () => {
    const { tables, notes } = await play({ "long.txt.gz": trace(LONG, 100), "short.txt.gz": trace(500, 100) }, true);
    expect(tables[0]?.title).toContain("1 traces");
    expect(notes?.[0]).toContain("1 of 2 traces");
  });

  it("are no empty tables where traces have too few keys for any size of cache", async () => {
    await expect(play({ "few.txt.gz": trace(500, 20) }, false)).rejects.toThrow("keys enough for a cache of 16 entries");
  });

  it("name the trace that cannot be read", async () => {
    await expect(play({ "torn.txt.gz": trace(500, 100).subarray(0, 40) }, false)).rejects.toThrow("torn.txt.gz");
  });
});
