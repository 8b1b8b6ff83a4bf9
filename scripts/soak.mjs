#!/usr/bin/env node
// Long runs over recorded seeds: every run names its seeds, so that a failure anywhere can be had again anywhere. The packages must be built.
//
//   node scripts/with-redis.mjs node scripts/soak.mjs [--schedules 1000000] [--seed 1] [--range 1000000] [--processes-ms 600000]
//
// - Simulated schedules, in ranges of seeds: a range that fails ends with its seed, and the rest still runs.
// - Four real processes on a real Redis behind a network that fails, for `--processes-ms` milliseconds; 0 leaves them out.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand } from "./run-command.mjs";
import { Tally } from "./tally.mjs";
import { root } from "./workspace-packages.mjs";

const { values: flags } = parseArgs({
  options: {
    schedules: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    range: { type: "string", default: "1000000" },
    "processes-ms": { type: "string", default: "600000" },
  },
});
const [schedules, firstSeed, range, processesMs] = [flags.schedules, flags.seed, flags.range, flags["processes-ms"]].map(Number);
const bench = join(root, "apps/bench/dist/main.js");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
/** A schedule takes about a millisecond; a busy machine, ablations and peers take the rest. */
const rangeTimeoutMs = 10 * 60_000 + range * 5;

/** The tail of a command's output, shown under its check: what was run, and how much. */
async function show(running) {
  console.log((await running).trimEnd().replace(/^/gm, "        "));
}

const tally = new Tally();
console.log(`soak: ${schedules} schedules from seed ${firstSeed}, ${range} at a time; processes for ${processesMs} ms`);
for (let done = 0; done < schedules; done += range) {
  const [count, seed] = [Math.min(range, schedules - done), firstSeed + done];
  const args = [bench, "coherence", "--schedules", String(count), "--seed", String(seed)];
  await tally.check(`${count} schedules from seed ${seed} hold, and every mechanism is missed when it is off`, () =>
    show(runCommand(process.execPath, args, { cwd: root, timeoutMs: rangeTimeoutMs })),
  );
}
if (processesMs > 0) {
  const run = (file, env) =>
    runCommand(process.execPath, [vitest, "run", file], {
      cwd: root,
      env: { ...process.env, ...env },
      timeoutMs: processesMs * 4 + 600_000,
    });
  await tally.check(`four processes never give older data than promised, for ${processesMs} ms`, () =>
    show(run("packages/pubsub-invalidation/test/processes.test.ts", { LARDER_SOAK_MS: String(processesMs) })),
  );
}
tally.close();
