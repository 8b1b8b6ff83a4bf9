import { installForRun, readThroughContenders } from "../contenders/load-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import type { ReadThroughContender } from "../contenders/read-through.ts";
import type { Cell, Row, Scenario, ScenarioContext, ScenarioResult, TaskContext, TextCell } from "../scenario.ts";
import { type Probe, type ProbeAnswer, probes, runProbe } from "./fault-probes.ts";
import { measureFaultSoak } from "./fault-soak.ts";
import { soakWorker } from "./soak-worker.ts";

/** Experiments side by side: they wait more than they work. */
const PARALLEL = { quick: 5, full: 2 };
const PROBE_TIMEOUT_MS = 15_000;

interface ProbeInput {
  readonly contender: string;
  readonly probe: string;
  readonly redisUrl: string;
  readonly redisPid: number;
}

/** One experiment in a process of its own, so that a crash or an unhandled rejection is an answer too. */
async function probeTask(input: unknown, task: TaskContext): Promise<ProbeAnswer> {
  const { contender: name, probe: id, redisUrl, redisPid } = input as ProbeInput;
  let rejections = 0;
  process.on("unhandledRejection", () => {
    rejections += 1;
  });
  // What peers log about the trouble that we make would bury the table.
  for (const method of ["log", "warn", "error"] as const) console[method] = () => {};
  const contender = readThroughContenders.find((candidate) => candidate.name === name)!;
  const probe = probes.find((candidate) => candidate.id === id)!;
  const answer = await runProbe(probe, contender, { namespace: "faults", redisUrl }, redisPid, createPeers({ signal: task.signal }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  if (rejections === 0) return answer;
  return { isKept: false, text: `${answer.text}, unhandled rejection` };
}

function isAsked(probe: Probe, contender: ReadThroughContender): string | undefined {
  if (probe.wants === "l2" && !contender.hasL2) return "shares no values between processes";
  return undefined;
}

async function ask(context: ScenarioContext, contender: ReadThroughContender, probe: Probe): Promise<Cell> {
  const why = isAsked(probe, contender);
  if (why) return { kind: "missing", why };
  const redis = await context.redis.start();
  try {
    const input = { contender: contender.name, probe: probe.id, redisUrl: redis.url, redisPid: redis.pid };
    const task = context.runTask<ProbeAnswer>("probe", input satisfies ProbeInput, { timeoutMs: PROBE_TIMEOUT_MS, isQuiet: true });
    const { isKept, text } = await task.result;
    return { kind: "text", text, verdict: isKept ? "good" : "bad" };
  } catch (error) {
    context.signal.throwIfAborted();
    return { kind: "text", text: describeEnd(error), verdict: "bad" };
  } finally {
    await redis.stop();
  }
}

function describeEnd(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes("longer than")) return "hangs";
  if (message.includes("without a result")) return "the process dies";
  return "throws";
}

async function inParallel<T>(jobs: ReadonlyArray<() => Promise<T>>, limit: number): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next;
      next += 1;
      results[index] = await jobs[index]!();
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
  return results;
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { installed, unavailable } = await installForRun(readThroughContenders, context);
  const pairs = installed.flatMap((entry) => probes.map((probe) => ({ entry, probe })));
  let done = 0;
  const cells = await inParallel(
    pairs.map(({ entry, probe }) => async () => {
      context.signal.throwIfAborted();
      const cell = await ask(context, entry.contender, probe);
      done += 1;
      context.progress.update((0.9 * done) / pairs.length, `${entry.contender.name}: ${probe.title}`);
      return cell;
    }),
    context.quick ? PARALLEL.quick : PARALLEL.full,
  );
  const rows: Row[] = installed.map(({ contender, version }, row) => {
    const own = probes.map((probe, column) => [probe.id, cells[row * probes.length + column]!] as const);
    const asked = own.filter(([, cell]) => cell.kind === "text");
    const kept = asked.filter(([, cell]) => (cell as TextCell).verdict === "good").length;
    const summary: TextCell = { kind: "text", text: `${kept} of ${asked.length}`, verdict: kept === asked.length ? "good" : "bad" };
    return {
      contender: contender.name,
      role: contender.role,
      ...(version ? { version } : {}),
      ...(contender.note ? { note: contender.note } : {}),
      cells: { kept: summary, ...Object.fromEntries(own) },
    };
  });
  const ours = rows.filter(({ role }) => role === "ours");
  const soak = await measureFaultSoak(context, installed);
  return {
    tables: [
      {
        id: "promises",
        title: "Who keeps which promise, with default settings, two instances and a real Redis",
        columns: [
          { id: "kept", title: "kept", unit: "", better: "none" },
          ...probes.map(({ id, title }) => ({ id, title, unit: "", better: "none" as const })),
        ],
        rows,
        unavailable,
        targets: ours.map(({ contender, cells: own }) => ({
          contender,
          column: "kept",
          text: `every promise (${(own.kept as TextCell).text})`,
          isMet: (own.kept as TextCell).verdict === "good",
        })),
        notes: [
          "Each cell is one experiment in a process of its own, generated by running it. The numbers are those of the promises page (docs/promises.md).",
          "old: a value from before the invalidation was served. I7 asks for an answer within 100 ms: a budget of 50 ms for Redis, and the loader.",
          "Default settings: a client of one's own with a command timeout and no offline queue bounds the waiting of those that take one.",
        ],
      },
      soak,
    ],
  };
}

/** Which library keeps which promise when things go wrong. */
export const faultsScenario: Scenario = {
  name: "faults",
  title: "Faults: who keeps which promise",
  describe:
    "Races, lost messages, a hung and an absent Redis, spoiled bytes: every read-through cache is put to the same experiments, each in its own process.",
  needs: ["redis"],
  tasks: { probe: probeTask, soakWorker },
  run,
};
