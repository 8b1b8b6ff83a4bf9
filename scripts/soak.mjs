#!/usr/bin/env node
// Long runs over recorded seeds: every run names its seeds, so that a failure anywhere can be had again anywhere. The packages must be built.
//
//   node scripts/soak.mjs [--schedules 1000000] [--seed 1] [--range 100000]
//
// Simulated schedules are split into ranges, each a process of its own: a range that fails ends with its seed, and the rest still runs.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand } from "./run-command.mjs";
import { Tally } from "./tally.mjs";
import { root } from "./workspace-packages.mjs";

const { values: flags } = parseArgs({
  options: {
    schedules: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    range: { type: "string", default: "100000" },
  },
});
const [schedules, firstSeed, range] = [Number(flags.schedules), Number(flags.seed), Number(flags.range)];
const bench = join(root, "apps/bench/dist/main.js");
const RANGE_TIMEOUT_MS = 30 * 60_000;

const tally = new Tally();
console.log(`soak: ${schedules} schedules from seed ${firstSeed}, ${range} at a time`);
const help = existsSync(bench) ? await runCommand(process.execPath, [bench, "--help"]) : "";
if (!help) await tally.check("the bench is built", () => Promise.reject(new Error("run pnpm build first")));
else if (!/\bcoherence\b/.test(help)) tally.skip("simulated schedules", "the bench has no coherence scenario");
else {
  for (let done = 0; done < schedules; done += range) {
    const [count, seed] = [Math.min(range, schedules - done), firstSeed + done];
    const args = [bench, "coherence", "--schedules", String(count), "--seed", String(seed)];
    await tally.check(`${count} schedules from seed ${seed} hold`, () =>
      runCommand(process.execPath, args, { timeoutMs: RANGE_TIMEOUT_MS }),
    );
  }
}
tally.close();
