import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { measureInterleaved, toRows } from "../src/measure.ts";
import { type Peers, PeerUnavailable } from "../src/peers.ts";
import { renderHtmlReport } from "../src/report/html-report.ts";
import { findTable, renderMarkdownReport } from "../src/report/markdown-report.ts";
import { createTerminalStyle } from "../src/report/terminal-style.ts";
import { renderScenario } from "../src/report/text-report.ts";
import { parseRunReport, type RunReport } from "../src/run-report.ts";
import { runScenario } from "../src/run-scenario.ts";
import { runScenarios } from "../src/run-scenarios.ts";
import { type Scenario, ScenarioUnavailable } from "../src/scenario.ts";
import { scenarioLoaders } from "../src/scenarios/index.ts";
import { spreadOf } from "../src/statistics.ts";

/** As offline: no peer can be installed. */
const offline: Peers = {
  load: async (name) => {
    throw new PeerUnavailable(name, "could not be installed (offline)", `npm install ${name}`);
  },
};

const silent = { begin: () => {}, end: () => {}, update: () => {}, log: () => {} };

function run(scenarios: Record<string, () => Promise<Scenario>>, signal: AbortSignal = new AbortController().signal): Promise<RunReport> {
  const asked = { quick: true, seed: 1, tracesFolder: undefined, schedules: undefined, signal };
  return runScenarios(Object.keys(scenarios), {
    ...asked,
    progress: silent,
    runOne: (name) => runScenario(name, scenarios[name]!, { ...asked, peers: offline, progress: silent }),
  });
}

const tiny: Scenario = {
  name: "tiny",
  title: "A map",
  describe: "Reads of a Map against the same behind a function.",
  run: async ({ seed, signal }) => {
    const map = new Map([["key", 1]]);
    const read = (key: string) => map.get(key);
    const batch = (one: (key: string) => unknown) => (operations: number) => {
      let last: unknown;
      for (let index = 0; index < operations; index += 1) last = one("key");
      return last;
    };
    const hit = await measureInterleaved(
      [
        { name: "raw Map", role: "limit", batch: batch((key) => map.get(key)) },
        { name: "wrapper", role: "control", batch: batch(read) },
        { name: "ours", role: "ours", batch: async (operations) => batch(read)(operations) },
      ],
      { rounds: 3, batchMs: 1, baseline: "raw Map", seed, signal },
    );
    const columns = [{ id: "hit", title: "hits <script>", unit: "ops/s", better: "higher" as const }];
    return {
      tables: [{ id: "hits", title: "Hits", columns, rows: toRows({ hit }), baseline: "raw Map" }],
      plots: [{ id: "p", title: "P", kind: "line", xLabel: "x", yLabel: "y", series: [{ name: "ours", points: [[0, 1]] }] }],
    };
  },
};

describe("a run of the bench", () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });

  it("measures contenders side by side: a row each, with medians, spreads and ratios to the limit", async () => {
    const report = await run({ tiny: async () => tiny });
    const table = findTable(report, "tiny", "hits");
    expect(table?.rows.map(({ contender }) => contender)).toEqual(["raw Map", "wrapper", "ours"]);
    for (const { cells } of table!.rows) {
      const cell = cells.hit!;
      if (cell.kind !== "measured") throw new Error("not measured");
      expect(cell.samples).toBe(3);
      expect(cell.median).toBeGreaterThan(0);
      expect(cell.low).toBeLessThanOrEqual(cell.median);
      expect(cell.high).toBeGreaterThanOrEqual(cell.median);
      expect(cell.ratio).toBeGreaterThan(0);
    }
    expect(table!.rows[0]!.cells.hit).toMatchObject({ ratio: 1, isTie: true });
  });

  it("runs a scenario of its own in process, without its peers, and says which are missing and what to install", async () => {
    const report = await run({ tiered: scenarioLoaders.tiered! });
    const [tiered] = report.scenarios;
    if (tiered?.outcome.status !== "measured") throw new Error(JSON.stringify(tiered?.outcome));
    const table = findTable(report, "tiered", "get-or-set")!;
    expect(table.rows.map(({ contender }) => contender)).toEqual(["raw Map.get", "larder"]);
    expect(table.unavailable?.map(({ contender }) => contender)).toContain("layered-loader");
    const text = renderScenario(tiered, createTerminalStyle({}));
    expect(text).toContain("not measured: bentocache, could not be installed (offline); npm install bentocache");
  });

  it("writes a report that it reads back whole", async () => {
    const report = await run({ tiny: async () => tiny });
    expect(parseRunReport(JSON.stringify(report), "result.json")).toEqual(report);
    expect(() => parseRunReport("{}", "result.json")).toThrow("result.json is not a report of the bench");
    expect(() => parseRunReport("{", "result.json")).toThrow("result.json is not JSON");
  });

  it("writes one page that asks nothing of the network and escapes what it shows", async () => {
    const page = await renderHtmlReport(await run({ tiny: async () => tiny }));
    expect(page).toContain("hits &lt;script&gt;");
    expect(page).not.toMatch(/(?:src|href)="(?!#)/);
    expect(page).toContain('id="plot-tiny-p"');
  });

  it("names nothing of the machine but its cores and its Node", async () => {
    const report = await run({ tiny: async () => tiny });
    expect(Object.keys(report.machine)).toEqual(["cores", "node"]);
    expect(renderMarkdownReport(report)).toContain(`Node ${process.version}`);
  });

  it("has no figure where nothing was measured, in the report and in its file: JSON has no word for it, and it was read back as endless", async () => {
    const columns = [{ id: "p99", title: "p99", unit: "ms", better: "lower" as const }];
    const empty: Scenario = {
      ...tiny,
      run: async () => ({
        tables: [
          {
            id: "t",
            title: "T",
            columns,
            rows: [{ contender: "ours", role: "ours", cells: { p99: { kind: "measured", ...spreadOf([]) } } }],
          },
        ],
      }),
    };
    const report = await run({ empty: async () => empty });
    expect(findTable(report, "empty", "t")?.rows[0]?.cells.p99).toEqual({ kind: "missing", why: "no sample of it was taken" });
    expect(renderMarkdownReport(parseRunReport(JSON.stringify(report), "result.json"))).not.toContain("∞");
  });

  it("goes on after a scenario that cannot run and one that fails, and tells them apart", async () => {
    const cannot = {
      ...tiny,
      run: async () => Promise.reject(new ScenarioUnavailable("there is no Redis to start", "install redis-server")),
    };
    const fails = { ...tiny, run: async () => Promise.reject(new Error("broken")) };
    const report = await run({ cannot: async () => cannot, fails: async () => fails, tiny: async () => tiny });
    expect(report.scenarios.map(({ outcome }) => outcome.status)).toEqual(["unavailable", "failed", "measured"]);
  });

  it("stops at once when it is interrupted, with its servers", async () => {
    const stopping = new AbortController();
    const endless: Scenario = {
      ...tiny,
      run: () => new Promise(() => queueMicrotask(() => stopping.abort(new Error("stopped by SIGINT")))),
    };
    await expect(run({ endless: async () => endless }, stopping.signal)).rejects.toThrow("stopped by SIGINT");
  });

  it("lets an interrupted scenario remove what it made, before the run is over", async () => {
    const stopping = new AbortController();
    const left: string[] = ["a folder"];
    const tidy: Scenario = {
      ...tiny,
      run: async ({ signal }) => {
        try {
          queueMicrotask(() => stopping.abort(new Error("stopped by SIGINT")));
          await new Promise((resolve) => setTimeout(resolve, 20));
          signal.throwIfAborted();
          return { tables: [] };
        } finally {
          left.pop();
        }
      },
    };
    await expect(run({ tidy: async () => tidy }, stopping.signal)).rejects.toThrow("stopped by SIGINT");
    expect(left).toEqual([]);
  });

  it("leaves no folder of a peer whose install failed", async () => {
    const { createPeers } = await import("../src/contenders/peer-installer.ts");
    const folder = await mkdtemp(join(tmpdir(), "larder-peers-"));
    folders.push(folder);
    const peers = createPeers({ folder, signal: new AbortController().signal });
    await expect(peers.load("no such peer")).rejects.toThrow("no peer is called no such peer");
    const { readdir } = await import("node:fs/promises");
    expect(await readdir(folder)).toEqual([]);
  });
});
