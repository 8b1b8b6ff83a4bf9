import { leftOutOfQuick } from "../contenders/left-out-of-quick.ts";
import { type LoadGenerator, type LoadResult, pickLoadGenerator } from "../load-generator.ts";
import { type Measurement, toMeasurements, toRows } from "../measure.ts";
import {
  type Row,
  type Scenario,
  type ScenarioContext,
  type ScenarioResult,
  ScenarioUnavailable,
  type Table,
  type Target,
  type UnavailableContender,
} from "../scenario.ts";
import { createSeededRandom, shuffled } from "../seeded-random.ts";
import { measureArrivals, replayLog } from "./gateway-arrivals.ts";
import {
  type AskedServer,
  BARE,
  chatBody,
  type Fleet,
  hitTargets,
  missTargets,
  PORTKEY,
  REQUEST_BYTES,
  startFleet,
  UPSTREAM,
} from "./gateway-fleet.ts";
import { relayServer } from "./gateway-relay.ts";
import { gatewayServer, larderProgram, plainServer, SLOW_MODEL } from "./gateway-servers.ts";
import { measureSharing } from "./gateway-sharing.ts";
import { measureSoak } from "./gateway-soak.ts";
import { measureTrouble } from "./gateway-trouble.ts";

const CONNECTIONS = 32;

/** One question put to several servers. */
interface Question {
  readonly id: string;
  readonly title: string;
  readonly baseline: string;
  readonly connections: number;
  readonly measures: "rate" | "latency";
  readonly targets: readonly AskedServer[];
  readonly leftOut?: readonly UnavailableContender[];
  readonly reach?: { readonly text: string; isMet(ours: Measurement, base: Measurement): boolean };
}

function atLeast(ratio: number): NonNullable<Question["reach"]> {
  return { text: `>= ${ratio.toFixed(2)} of the limit`, isMet: (ours) => (ours.cell.ratio ?? 0) >= ratio };
}

function addedAtMost(limitMs: number): NonNullable<Question["reach"]> {
  return { text: `at most ${limitMs} ms more than the limit`, isMet: (ours, base) => ours.cell.median - base.cell.median <= limitMs };
}

function questionsFor(fleet: Fleet): Question[] {
  const rate = { connections: CONNECTIONS, measures: "rate" as const };
  const one = { connections: 1, measures: "latency" as const };
  const unique = chatBody({ isUnique: true });
  return [
    { id: "hit", title: "hit", baseline: BARE, ...rate, targets: hitTargets(fleet, chatBody({})), reach: atLeast(0.6) },
    { id: "miss", title: "miss, unique bodies", baseline: UPSTREAM, ...rate, targets: missTargets(fleet, unique), reach: atLeast(0.25) },
    {
      id: "stream-hit",
      title: "stream hit",
      baseline: BARE,
      ...rate,
      targets: hitTargets(fleet, chatBody({ stream: true })),
      reach: atLeast(0.6),
    },
    {
      id: "stream-miss",
      title: "stream miss, unique bodies",
      baseline: UPSTREAM,
      ...rate,
      targets: missTargets(fleet, chatBody({ stream: true, isUnique: true })),
      reach: atLeast(0.3),
    },
    {
      id: "hit-1",
      title: "hit, one connection",
      baseline: BARE,
      ...one,
      targets: hitTargets(fleet, chatBody({})),
      reach: addedAtMost(0.15),
    },
    {
      id: "miss-1",
      title: "miss, one connection",
      baseline: UPSTREAM,
      ...one,
      targets: missTargets(fleet, unique),
      reach: addedAtMost(0.35),
    },
    {
      id: "slow-50",
      title: "miss, 50 connections, the upstream takes 50 ms",
      baseline: UPSTREAM,
      connections: 50,
      measures: "latency",
      targets: missTargets(fleet, chatBody({ model: SLOW_MODEL, isUnique: true })),
      reach: { text: "p99 at most 1.1x", isMet: () => true },
    },
  ];
}

/** A quick run asks peers for the rate of misses alone: the rest takes as long and says the same. */
function withoutPeers(question: Question): Question {
  if (question.id === "miss") return question;
  const isPeer = ({ role }: AskedServer): boolean => role === "peer";
  const leftOut = question.targets.filter(isPeer).map(({ name }) => leftOutOfQuick(name));
  return { ...question, leftOut, targets: question.targets.filter((target) => !isPeer(target)) };
}

type Seen = Map<string, LoadResult[]>;

/** Every question to every server, in rounds, in an order shuffled anew each time. */
async function measureAll(questions: readonly Question[], generator: LoadGenerator, context: ScenarioContext): Promise<Map<string, Seen>> {
  const rounds = context.quick ? 1 : 7;
  const seconds = context.quick ? 1 : 3;
  const seen = new Map<string, Seen>(questions.map(({ id }) => [id, new Map()]));
  const random = createSeededRandom(context.seed);
  // Compiles the code, opens connections, fills the cache. A quick run does it for what is compared most closely, and for all that are compared.
  for (const { id, connections, targets } of questions) {
    if (context.quick && !["hit", "miss"].includes(id)) continue;
    for (const { request } of targets) {
      await generator.run(request, { connections, seconds: 1 }, context.signal);
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [place, question] of questions.entries()) {
      for (const target of shuffled(question.targets, random)) {
        context.signal.throwIfAborted();
        const result = await generator.run(target.request, { connections: question.connections, seconds }, context.signal);
        const results = seen.get(question.id)!;
        results.set(target.name, [...(results.get(target.name) ?? []), result]);
      }
      context.progress.update(0.1 + (0.8 * (round + (place + 1) / questions.length)) / rounds, question.title);
    }
  }
  return seen;
}

function measurementsOf(question: Question, seen: Seen, pick: (result: LoadResult) => number): Measurement[] {
  const sampled = question.targets.map(({ name, role, version }) => ({
    contender: { name, role, ...(version ? { version } : {}) },
    samples: (seen.get(name) ?? []).map(pick),
  }));
  return toMeasurements(sampled, question.baseline);
}

/** A cell that counts failures is not a rate of answers. */
function withFailures(rows: Row[], seen: Seen): Row[] {
  return rows.map((row) => {
    const failures = (seen.get(row.contender) ?? []).reduce((sum, result) => sum + result.failures, 0);
    return failures > 0 ? { ...row, note: `${failures} requests failed` } : row;
  });
}

function targetOf(question: Question, column: string, measurements: readonly Measurement[]): Target[] {
  const ours = measurements.find(({ role }) => role === "ours");
  const base = measurements.find(({ name }) => name === question.baseline);
  if (!question.reach || !ours || !base) return [];
  const seen =
    question.measures === "rate"
      ? `${(ours.cell.ratio ?? 0).toFixed(2)}`
      : `+${(ours.cell.median - base.cell.median).toFixed(3)} ms, ${(ours.cell.ratio ?? 0).toFixed(2)}x`;
  return [{ contender: "larder", column, text: `${question.reach.text} (${seen})`, isMet: question.reach.isMet(ours, base) }];
}

function rateTable(question: Question, seen: Seen, fleet: Fleet): Table {
  const measurements = measurementsOf(question, seen, ({ requestsPerSecond }) => requestsPerSecond);
  return {
    id: question.id,
    title: `Requests a second: ${question.title}, ${question.connections} connections`,
    columns: [{ id: "rate", title: "rate", unit: "requests/s", better: "higher" }],
    rows: withFailures(toRows({ rate: measurements }), seen),
    baseline: question.baseline,
    targets: targetOf(question, "rate", measurements),
    unavailable: [...fleet.unavailable, ...(question.leftOut ?? [])],
    notes: question.id.endsWith("hit") ? [`${PORTKEY}: the cache is folded away in the build on npm, so it has no hit.`] : [],
  };
}

function latencyTable(question: Question, seen: Seen, fleet: Fleet): Table {
  const p50 = measurementsOf(question, seen, ({ p50Ms }) => p50Ms);
  const p99 = measurementsOf(question, seen, ({ p99Ms }) => p99Ms);
  const isSlow = question.id === "slow-50";
  const reach = isSlow
    ? { ...question, reach: { text: "p99 at most 1.1x", isMet: (ours: Measurement) => (ours.cell.ratio ?? 9) <= 1.1 } }
    : question;
  return {
    id: question.id,
    title: `Latency: ${question.title}`,
    columns: [
      { id: "p50", title: "p50", unit: "ms", better: "lower" },
      { id: "p99", title: "p99", unit: "ms", better: "lower" },
    ],
    rows: withFailures(toRows({ p50, p99 }), seen),
    baseline: question.baseline,
    targets: isSlow ? targetOf(reach, "p99", p99) : targetOf(question, "p50", p50),
    unavailable: [...fleet.unavailable, ...(question.leftOut ?? [])],
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  if (!larderProgram()) throw new ScenarioUnavailable("the gateway is not built", "npx --yes pnpm@10.34.9 build");
  const generator = await pickLoadGenerator(context.peers);
  context.progress.update(0, "starting servers");
  const fleet = await startFleet(context);
  const questions = questionsFor(fleet).map((question) => (context.quick ? withoutPeers(question) : question));
  const seen = await measureAll(questions, generator, context);
  const tables = questions.map((question) =>
    (question.measures === "rate" ? rateTable : latencyTable)(question, seen.get(question.id)!, fleet),
  );
  context.progress.update(0.92, "arrivals");
  const { table, plot } = await measureArrivals(fleet, context);
  if (context.replayFile) tables.push(await replayLog(fleet, context.replayFile, context));
  const sharing = await measureSharing(fleet, context);
  const trouble = await measureTrouble(fleet, context);
  const soak = await measureSoak(fleet, generator, context);
  return {
    tables: [...tables, table, sharing, ...(trouble ? [trouble] : []), soak],
    plots: [plot],
    notes: [
      ...(trouble ? [] : ["There is no Redis to start: what happens when it goes away was not measured."]),
      `Closed loops by ${generator.name}. Requests of ${REQUEST_BYTES} bytes, answers of 1 KB; server, load and upstream share this machine.`,
    ],
  };
}

/** What the gateway costs per request, beside a bare server, the upstream itself and another gateway. */
export const gatewayScenario: Scenario = {
  name: "gateway",
  title: "Gateway: hits, misses and streams over HTTP",
  describe:
    "Requests a second and latency of hits, misses and streams against a bare node:http server, the upstream asked directly and through a bare relay, and Portkey's gateway.",
  tasks: { plain: plainServer, relay: relayServer, gateway: gatewayServer },
  run,
};
