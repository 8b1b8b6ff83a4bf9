import { availableParallelism } from "node:os";
import { ablated } from "@larder/cache-core";
import { ABLATIONS, type Ablation, PLAN_FORMAT, simulate } from "@larder/cache-testing";
import { simulatedProcesses } from "../contenders/simulated-processes.ts";
import { SIMULATED_STALENESS_MS } from "../contenders/simulated-tiers.ts";
import { singleCell } from "../measure.ts";
import type { Row, Scenario, ScenarioContext, ScenarioResult, Table, TaskContext } from "../scenario.ts";

/** One process's part of the work. */
interface SimulateInput extends Pick<Ablation, "mechanism" | "ablations" | "limits"> {
  readonly contender: string;
  readonly firstSeed: number;
  readonly schedules: number;
  readonly keepFailures: number;
}

interface SimulateOutput {
  readonly schedules: number;
  readonly steps: number;
  readonly reads: number;
  readonly failures: ReadonlyArray<{ readonly seed: number; readonly violations: readonly string[] }>;
}

/** Schedules from which on a range is long, and that a part of such a one has at least. */
const LONG_RANGE = 200_000;
const SHORTEST_PART = 25_000;
/** Schedules of those that stand beside the whole composition. */
const MOST_COMPARED = 1_000;
/** The part of the progress that is not the mechanisms'. */
const CONTENDERS_SHARE = 0.84;
const TASK_TIMEOUT_MS = 12 * 3_600_000;
const OURS = "larder: memory, Redis, bus";

async function simulateSeeds(input: unknown, task: TaskContext): Promise<SimulateOutput> {
  const { contender, firstSeed, schedules, keepFailures, mechanism, ablations, limits } = input as SimulateInput;
  const simulated = simulatedProcesses[contender];
  if (!simulated) throw new Error(`nothing to simulate is called ${contender}`);
  if (mechanism) ablated.add(mechanism);
  const report = await simulate({
    ...simulated,
    maxStalenessMs: SIMULATED_STALENESS_MS,
    readLimitMs: 60,
    firstSeed,
    schedules,
    keepFailures,
    ...(ablations ? { ablations } : {}),
    limits: { ...simulated.limits, ...limits },
    onProgress: (done) => {
      task.signal.throwIfAborted();
      task.send(done);
    },
  });
  return { ...report, failures: report.failures.map(({ seed, violations }) => ({ seed, violations })) };
}

/**
 * The parts that a range of seeds is done in, each in a process of its own. One for each core, and of a long range fewer seeds in each that begins later
 * (guided self-scheduling, Polychronopoulos and Kuck, 1987): a process goes on getting faster for minutes, so that many equal parts cost more time of the
 * processors (a whole run of CI with a million schedules took 28:16 minutes of it with 34 parts, 24:07 with two), and two halves do not end together where
 * something else runs too.
 */
function partsOf({ firstSeed, schedules }: SimulateInput): Array<Pick<SimulateInput, "firstSeed" | "schedules">> {
  const cores = availableParallelism();
  const equal = Math.ceil(schedules / cores);
  const shortest = schedules < LONG_RANGE ? equal : Math.min(SHORTEST_PART, equal);
  const parts: Array<Pick<SimulateInput, "firstSeed" | "schedules">> = [];
  for (let done = 0; done < schedules; ) {
    const left = schedules - done;
    const size = Math.min(left, Math.max(shortest, Math.ceil((0.75 * left) / cores)));
    parts.push({ firstSeed: firstSeed + done, schedules: size });
    done += size;
  }
  return parts;
}

/** Does some work for each, one for each core at a time. Whoever is done takes the next. */
async function onEachCore<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  const waiting = items.entries();
  const runWaiting = async (): Promise<void> => {
    for (const [index, item] of waiting) await work(item, index);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, runWaiting));
}

/** Runs a range of seeds in parts, each in a process of its own. */
async function simulateRange(
  context: ScenarioContext,
  input: SimulateInput,
  parts: ReadonlyArray<Pick<SimulateInput, "firstSeed" | "schedules">>,
  report: (share: number) => void,
): Promise<SimulateOutput> {
  const done = parts.map(() => 0);
  const outputs: SimulateOutput[] = [];
  await onEachCore(parts, async (part, index) => {
    const { result } = context.runTask<SimulateOutput>("simulate", { ...input, ...part } satisfies SimulateInput, {
      timeoutMs: TASK_TIMEOUT_MS,
      onMessage: (count) => {
        done[index] = Number(count);
        report(done.reduce((sum, each) => sum + each, 0) / input.schedules);
      },
    });
    outputs[index] = await result;
  });
  return {
    schedules: outputs.reduce((sum, output) => sum + output.schedules, 0),
    steps: outputs.reduce((sum, output) => sum + output.steps, 0),
    reads: outputs.reduce((sum, output) => sum + output.reads, 0),
    failures: outputs.flatMap((output) => output.failures),
  };
}

async function contenderRow(context: ScenarioContext, contender: string, schedules: number, base: number, share: number): Promise<Row> {
  const isOurs = contender.startsWith("larder");
  const startedAt = performance.now();
  const input: SimulateInput = { contender, firstSeed: context.seed, schedules, keepFailures: isOurs ? 1 : Number.MAX_SAFE_INTEGER };
  const parts = contender === OURS ? partsOf(input) : [input];
  const output = await simulateRange(context, input, parts, (part) => context.progress.update(base + part * share, contender));
  const first = output.failures[0];
  if (isOurs && first) throw new Error(`seed ${first.seed} breaks a promise of ${contender}: ${first.violations[0]}`);
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    contender,
    role: isOurs ? "ours" : "peer",
    cells: {
      schedules: singleCell(output.schedules),
      bad: singleCell((100 * output.failures.length) / output.schedules),
      first: first ? { kind: "text", text: String(first.seed), verdict: "bad" } : { kind: "text", text: "none", verdict: "good" },
      steps: singleCell(output.steps / output.schedules),
      reads: singleCell(output.reads),
      rate: singleCell(output.schedules / seconds),
    },
  };
}

/** Schedules within which a mechanism's absence must show. */
const WITHIN = 200_000;

async function ablationRow(context: ScenarioContext, { name, shows = /./, ...off }: Ablation): Promise<Row> {
  const input: SimulateInput = { contender: OURS, firstSeed: context.seed, schedules: WITHIN, keepFailures: 1, ...off };
  const output = await context.runTask<SimulateOutput>("simulate", input, { timeoutMs: TASK_TIMEOUT_MS }).result;
  const what = output.failures[0]?.violations[0];
  if (what === undefined || !shows.test(what))
    throw new Error(`the simulator does not notice this: ${name} (${WITHIN} schedules, ${what})`);
  return {
    contender: name,
    role: "peer",
    cells: { after: singleCell(output.schedules), what: { kind: "text", text: what, verdict: "bad" } },
  };
}

/** Most show after a few schedules, so that starting a process takes the longest: one for each core. */
async function ablationTable(context: ScenarioContext, base: number, share: number): Promise<Table> {
  const rows: Row[] = [];
  await onEachCore(ABLATIONS, async (ablation, index) => {
    context.progress.update(base + (index / ABLATIONS.length) * share, ablation.name);
    rows[index] = await ablationRow(context, ablation);
  });
  return {
    id: "ablations",
    title: "Each mechanism switched off: schedules until the simulator finds a broken promise",
    columns: [
      { id: "after", title: "found after", unit: "schedules", better: "none" },
      { id: "what", title: "first violation", unit: "", better: "none" },
    ],
    rows,
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const schedules = context.schedules ?? (context.quick ? 2_000 : 1_000_000);
  const others = Object.keys(simulatedProcesses).filter((name) => name !== OURS);
  // They are there for comparison: a thousand say as much as a million, and ranges of them are run by hand.
  const compared = Math.min(MOST_COMPARED, Math.max(200, Math.ceil(schedules / 20)));
  const share = CONTENDERS_SHARE / (others.length + 1);
  const rows = [await contenderRow(context, OURS, schedules, 0, share)];
  // Undivided: so few take longest to start and to warm up.
  await onEachCore(others, async (name, index) => {
    context.signal.throwIfAborted();
    rows[index + 1] = await contenderRow(context, name, compared, (index + 1) * share, share);
  });
  const contenders: Table = {
    id: "schedules",
    title: `Random schedules from seed ${context.seed} on (plan format ${PLAN_FORMAT}): 3 processes, 2 to 3 keys, 24 to 35 operations, faults`,
    columns: [
      { id: "schedules", title: "schedules", unit: "", better: "none" },
      { id: "bad", title: "bad", unit: "%", better: "lower" },
      { id: "first", title: "first bad seed", unit: "", better: "none" },
      { id: "steps", title: "steps each", unit: "", better: "none" },
      { id: "reads", title: "reads judged", unit: "", better: "none" },
      { id: "rate", title: "schedules/s", unit: "", better: "higher" },
    ],
    rows,
    notes: [
      "The product's own code over simulated connections and a simulated Redis that is held to the real one by a test.",
      "The first row is run on all cores, each other one on a core of its own.",
      "A bad schedule of ours fails the run. Peers bring their own timers and clients and cannot be simulated; the faults scenario runs them.",
    ],
  };
  return { tables: [contenders, await ablationTable(context, CONTENDERS_SHARE, 1 - CONTENDERS_SHARE)] };
}

/** The deterministic simulator over ours and over the reference design, and over ours with each mechanism switched off. */
export const coherenceScenario: Scenario = {
  name: "coherence",
  title: "Coherence: random schedules with faults, every read judged",
  describe:
    "How many random schedules of operations and faults break a promise, for larder, for the usual hand-written design, and for larder with each mechanism off.",
  tasks: { simulate: simulateSeeds },
  run,
};
