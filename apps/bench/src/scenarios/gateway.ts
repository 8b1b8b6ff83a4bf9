import { type LoadGenerator, type LoadRequest, type LoadResult, pickLoadGenerator, UNIQUE } from "../load-generator.ts";
import { type Measurement, singleCell, toMeasurements, toRows } from "../measure.ts";
import { runOpenLoop } from "../open-loop.ts";
import { type LoadedPeer, PeerUnavailable } from "../peers.ts";
import {
  type Cell,
  type Plot,
  type Role,
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
import { type GatewayInput, gatewayServer, larderProgram, plainServer, SLOW_MODEL } from "./gateway-servers.ts";

const CONNECTIONS = 32;
const BARE = "bare node:http";
const UPSTREAM = "upstream asked directly";
const PORTKEY = "@portkey-ai/gateway";
const REQUEST_BYTES = 600;

/** Who is asked, and with what. */
interface Target32 {
  readonly name: string;
  readonly role: Role;
  readonly version?: string;
  readonly request: LoadRequest;
}

/** One question put to several servers. */
interface Question {
  readonly id: string;
  readonly title: string;
  readonly baseline: string;
  readonly connections: number;
  readonly measures: "rate" | "latency";
  readonly targets: readonly Target32[];
  readonly reach?: { readonly text: string; isMet(ours: Measurement, base: Measurement): boolean };
}

function chatBody(fields: { readonly model?: string; readonly stream?: boolean; readonly isUnique?: boolean }): string {
  const { model = "gpt-4o-mini", stream = false, isUnique = false } = fields;
  const filler = "Answer as shortly as you can. ".repeat(20).slice(0, REQUEST_BYTES - 200);
  const content = isUnique ? `What is ${UNIQUE}?` : "What is a larder?";
  return JSON.stringify({
    model,
    messages: [
      { role: "system", content: filler },
      { role: "user", content },
    ],
    temperature: 0,
    ...(stream ? { stream } : {}),
  });
}

class Servers {
  readonly #context: ScenarioContext;

  constructor(context: ScenarioContext) {
    this.#context = context;
  }

  /** Starts the task and waits for its port. Tasks are stopped at the end of the scenario. */
  start(task: string, input: unknown): Promise<number> {
    return new Promise((resolve, reject) => {
      const running = this.#context.runTask<null>(task, input, {
        timeoutMs: 3_600_000,
        onMessage: (message) => resolve((message as { port: number }).port),
      });
      running.result.catch(reject);
    });
  }
}

const requestTo = (port: number, body: string, headers: Readonly<Record<string, string>> = {}): LoadRequest => ({
  url: `http://127.0.0.1:${port}/v1/chat/completions`,
  headers: { "content-type": "application/json", authorization: "Bearer bench-key", ...headers },
  body,
});

interface Fleet {
  readonly bare: number;
  readonly upstream: number;
  readonly larder: number;
  readonly portkey: { readonly port: number; readonly version: string; readonly headers: Record<string, string> } | undefined;
  readonly unavailable: UnavailableContender[];
}

async function startFleet(context: ScenarioContext): Promise<Fleet> {
  const servers = new Servers(context);
  const unavailable: UnavailableContender[] = [];
  const [bare, upstream] = await Promise.all([servers.start("plain", null), servers.start("plain", null)]);
  const larder = await servers.start("gateway", { gateway: "larder", upstreamPort: upstream } satisfies GatewayInput);
  let portkey: Fleet["portkey"];
  try {
    const peer: LoadedPeer = await context.peers.load(PORTKEY);
    const port = await servers.start("gateway", { gateway: "portkey", upstreamPort: upstream, folder: peer.folder } satisfies GatewayInput);
    const headers = { "x-portkey-provider": "openai", "x-portkey-custom-host": `http://127.0.0.1:${upstream}/v1` };
    portkey = { port, version: peer.version, headers };
  } catch (error) {
    context.signal.throwIfAborted();
    const isMissing = error instanceof PeerUnavailable;
    unavailable.push({
      contender: PORTKEY,
      why: isMissing ? error.message : "did not start",
      install: isMissing ? error.install : "see its own output",
    });
  }
  return { bare, upstream, larder, portkey, unavailable };
}

function hitTargets(fleet: Fleet, body: string): Target32[] {
  return [
    { name: BARE, role: "limit", request: requestTo(fleet.bare, body) },
    { name: "larder", role: "ours", request: requestTo(fleet.larder, body) },
  ];
}

function missTargets(fleet: Fleet, body: string): Target32[] {
  const { portkey } = fleet;
  return [
    { name: UPSTREAM, role: "limit", request: requestTo(fleet.upstream, body) },
    { name: "larder", role: "ours", request: requestTo(fleet.larder, body) },
    ...(portkey
      ? [{ name: PORTKEY, role: "peer" as const, version: portkey.version, request: requestTo(portkey.port, body, portkey.headers) }]
      : []),
  ];
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

type Seen = Map<string, LoadResult[]>;

/** Every question to every server, in rounds, in an order shuffled anew each time. */
async function measureAll(questions: readonly Question[], generator: LoadGenerator, context: ScenarioContext): Promise<Map<string, Seen>> {
  const rounds = context.quick ? 1 : 7;
  const seconds = context.quick ? 1 : 3;
  const seen = new Map<string, Seen>(questions.map(({ id }) => [id, new Map()]));
  const random = createSeededRandom(context.seed);
  // Compiles the code, opens connections, fills the cache.
  for (const { connections, targets } of questions.filter(({ measures }) => measures === "rate" || !context.quick)) {
    for (const { request } of targets) await generator.run(request, { connections, seconds: 1 }, context.signal);
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

function targetOf(question: Question, measurements: readonly Measurement[]): Target[] {
  const ours = measurements.find(({ role }) => role === "ours");
  const base = measurements.find(({ name }) => name === question.baseline);
  if (!question.reach || !ours || !base) return [];
  const seen =
    question.measures === "rate"
      ? `${(ours.cell.ratio ?? 0).toFixed(2)}`
      : `+${(ours.cell.median - base.cell.median).toFixed(3)} ms, ${(ours.cell.ratio ?? 0).toFixed(2)}x`;
  return [{ contender: "larder", column: question.id, text: `${question.reach.text} (${seen})`, isMet: question.reach.isMet(ours, base) }];
}

function rateTable(question: Question, seen: Seen, fleet: Fleet): Table {
  const measurements = measurementsOf(question, seen, ({ requestsPerSecond }) => requestsPerSecond);
  return {
    id: question.id,
    title: `Requests a second: ${question.title}, ${question.connections} connections`,
    columns: [{ id: "rate", title: "rate", unit: "requests/s", better: "higher" }],
    rows: withFailures(toRows({ rate: measurements }), seen),
    baseline: question.baseline,
    targets: targetOf(question, measurements),
    unavailable: fleet.unavailable,
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
    targets: targetOf(reach, isSlow ? p99 : p50),
    unavailable: fleet.unavailable,
  };
}

/** Hits and misses arriving on their own schedule, at a rate that all servers can bear. */
async function measureArrivals(fleet: Fleet, context: ScenarioContext): Promise<{ readonly table: Table; readonly plot: Plot }> {
  const perSecond = 200;
  const asked = [
    ...hitTargets(fleet, chatBody({})).map((target) => ({ ...target, what: "hit" })),
    ...missTargets(fleet, chatBody({ isUnique: true })).map((target) => ({ ...target, what: "miss" })),
  ];
  const rows: Row[] = [];
  const series: Plot["series"][number][] = [];
  for (const { name, role, version, request, what } of asked) {
    const random = createSeededRandom(context.seed);
    const { percentiles, failures } = await runOpenLoop(request, { perSecond, seconds: context.quick ? 1.5 : 10, random }, context.signal);
    const label = role === "limit" ? name : `${name}, ${what}`;
    const cells: Record<string, Cell> = Object.fromEntries(percentiles.map(([share, latencyMs]) => [String(share), singleCell(latencyMs)]));
    rows.push({
      contender: label,
      role,
      ...(version ? { version } : {}),
      cells,
      ...(failures > 0 ? { note: `${failures} requests failed` } : {}),
    });
    series.push({
      name: label,
      role,
      points: percentiles.filter(([share]) => share < 1).map(([share, latencyMs]) => [1 / (1 - share), latencyMs] as const),
    });
  }
  const shares = [0.5, 0.9, 0.99, 0.999, 1];
  const table: Table = {
    id: "arrivals",
    title: `Open loop: ${perSecond} arrivals a second, latency from the instant a request was due`,
    columns: shares.map((share) => ({
      id: String(share),
      title: share === 1 ? "max" : `p${share * 100}`,
      unit: "ms",
      better: "lower" as const,
    })),
    rows,
    notes: ["Arrivals do not wait for answers, so a pause of the server is in the figures (no coordinated omission)."],
  };
  const plot: Plot = {
    id: "arrivals",
    title: `Latency by percentile at ${perSecond} arrivals a second`,
    kind: "line",
    xLabel: "1 in N requests is slower",
    yLabel: "ms",
    xScale: "log",
    yScale: "log",
    series,
  };
  return { table, plot };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  if (!larderProgram()) throw new ScenarioUnavailable("the gateway is not built", "npx --yes pnpm@10.34.9 build");
  const generator = await pickLoadGenerator(context.peers);
  context.progress.update(0, "starting servers");
  const fleet = await startFleet(context);
  const questions = questionsFor(fleet);
  const seen = await measureAll(questions, generator, context);
  const tables = questions.map((question) =>
    (question.measures === "rate" ? rateTable : latencyTable)(question, seen.get(question.id)!, fleet),
  );
  context.progress.update(0.92, "arrivals");
  const { table, plot } = await measureArrivals(fleet, context);
  return {
    tables: [...tables, table],
    plots: [plot],
    notes: [
      `Closed loops by ${generator.name}. Requests of ${REQUEST_BYTES} bytes, answers of 1 KB; server, load and upstream share this machine.`,
    ],
  };
}

/** What the gateway costs per request, beside a bare server, the upstream itself and another gateway. */
export const gatewayScenario: Scenario = {
  name: "gateway",
  title: "Gateway: hits, misses and streams over HTTP",
  describe:
    "Requests a second and latency of hits, misses and streams against a bare node:http server, the upstream asked directly, and Portkey's gateway.",
  tasks: { plain: plainServer, gateway: gatewayServer },
  run,
};
