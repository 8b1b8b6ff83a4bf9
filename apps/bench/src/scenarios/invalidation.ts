import { Redis } from "ioredis";
import { installContenders, readThroughContenders } from "../contenders/load-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import type { ReadThroughCache } from "../contenders/read-through.ts";
import { toMeasurements } from "../measure.ts";
import type { Cell, Row, Scenario, ScenarioContext, ScenarioResult, Table, Target, TaskContext } from "../scenario.ts";
import { quantile } from "../statistics.ts";
import { measureReconnects, reconnectTask } from "./reconnect.ts";

// From the call of `invalidate` to the moment when a peer process no longer gives the old value. Peers poll their own cache: it answers
// from memory while the entry is there, so what a poll costs is below what is measured, and the clock is the machine's monotonic one,
// which all processes share. A PING on a connection of the same process, taken in turn with the invalidations, is the limit.

const LIMIT = "PING";
/**
 * What a round leaves to the processors before it is measured and before it is reported, in milliseconds: what was told before, and the report, wake the
 * process that runs the bench, which on two cores stands in the way of those that are measured.
 */
const SETTLE_MS = 4;
/** Peers that never notice are given up after this: they have no bus. */
const GIVE_UP_MS = 1000;
/** A key of its own for each round: what an earlier round left in a second tier is out of the way. */
const keyOf = (namespace: string, round: number): string => `model:${namespace}:${round}`;

interface MemberInput {
  readonly contender: string;
  readonly redisUrl: string;
  readonly namespace: string;
  /** Whether this listener reports when the value is gone; the others only hold it, so that they do not fight for the processor. */
  readonly isWatching: boolean;
}

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

async function createMember({ contender, redisUrl, namespace }: MemberInput, task: TaskContext): Promise<ReadThroughCache> {
  const found = readThroughContenders.find(({ name }) => name === contender)!;
  const cache = await found.create({ redisUrl, namespace, ttlMs: 600_000 }, createPeers({ signal: task.signal }));
  await cache.ready();
  return cache;
}

/** A peer process: told a round, it loads the key, says so, and tells when the value that it holds is gone. */
async function listener(input: unknown, task: TaskContext): Promise<null> {
  const cache = await createMember(input as MemberInput, task);
  return new Promise((resolve) => {
    task.onMessage((message) => {
      const { round } = message as { round: number };
      if (round < 0) {
        void cache.close();
        return resolve(null);
      }
      void watch(cache, input as MemberInput, round, task);
    });
    task.send({ kind: "ready" });
  });
}

async function watch(cache: ReadThroughCache, input: MemberInput, round: number, task: TaskContext): Promise<void> {
  const key = keyOf(input.namespace, round);
  await cache.getOrSet(key, async () => ({ round }));
  task.send({ kind: "holds", round });
  if (!input.isWatching) return;
  const giveUpAt = nowMs() + GIVE_UP_MS;
  let goneAt: number | undefined;
  let knownAt: number | undefined;
  while (goneAt === undefined && nowMs() < giveUpAt) {
    await new Promise((resolve) => setImmediate(resolve));
    // Of the first poll that misses the call counts: what a miss costs, a library's second tier included, is another matter.
    const askedAt = nowMs();
    if (!(await hasLost(cache, key))) continue;
    goneAt = askedAt;
    knownAt = nowMs();
  }
  task.send({ kind: "gone", round, goneAt: goneAt ?? null, knownAt: knownAt ?? null });
}

/** Whether the next read no longer gives the old value. */
async function hasLost(cache: ReadThroughCache, key: string): Promise<boolean> {
  if (cache.getSync) {
    const held = cache.getSync(key);
    // A promise: memory no longer has it, and the second tier is asked.
    return held === undefined || held instanceof Promise;
  }
  const answer = (await cache.getOrSet(key, async () => ({ isNew: true }))) as { isNew?: boolean };
  return answer.isNew === true;
}

/** The process that invalidates: one PING and one invalidation a round, both timed. */
async function issuer(input: unknown, task: TaskContext): Promise<null> {
  const cache = await createMember(input as MemberInput, task);
  const redis = new Redis((input as MemberInput).redisUrl);
  await redis.ping();
  return new Promise((resolve) => {
    task.onMessage((message) => {
      const { round } = message as { round: number };
      if (round < 0) {
        redis.disconnect();
        void cache.close();
        return resolve(null);
      }
      void issue(cache, redis, (input as MemberInput).namespace, round, task);
    });
    task.send({ kind: "ready" });
  });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function issue(cache: ReadThroughCache, redis: Redis, namespace: string, round: number, task: TaskContext): Promise<void> {
  await pause(SETTLE_MS);
  const pingedAt = nowMs();
  await redis.ping();
  const pingMs = nowMs() - pingedAt;
  // The first command after a pause is slower than the next: what is compared comes after one and the same.
  await pause(SETTLE_MS);
  const calledAt = nowMs();
  await cache.invalidate(keyOf(namespace, round));
  const ackMs = nowMs() - calledAt;
  await pause(SETTLE_MS);
  task.send({ kind: "issued", round, calledAt, pingMs, ackMs });
}

interface Rounds {
  readonly pingMs: number[];
  readonly goneMs: number[];
  readonly ackMs: number[];
  never: number;
  /** Rounds in which the value was gone before anybody dropped it. */
  early: number;
}

type Report = {
  kind: string;
  round?: number;
  goneAt?: number | null;
  knownAt?: number | null;
  calledAt?: number;
  pingMs?: number;
  ackMs?: number;
};

/** How many of them are of that kind. */
const countOf = (heard: readonly Report[], kind: string): number => heard.filter((message) => message.kind === kind).length;

/** Resolves when what has been heard is enough. */
type Until = (isEnough: (heard: readonly Report[]) => boolean) => Promise<void>;

/** Runs the rounds over one issuer and its listeners. A round starts when all listeners hold the key. */
export async function measureRounds(
  context: Pick<ScenarioContext, "runTask" | "signal">,
  input: Omit<MemberInput, "isWatching">,
  listeners: number,
  rounds: number,
  onRound: (round: number) => void,
): Promise<Rounds> {
  const measured: Rounds = { pingMs: [], goneMs: [], ackMs: [], never: 0, early: 0 };
  // All of them: a value that is lost while other listeners still load it is told before anybody waits for that.
  const heard: Report[] = [];
  let look = (): void => {};
  const onMessage = (message: unknown): void => {
    heard.push(message as Report);
    look();
  };
  const tasks = Array.from({ length: listeners + 1 }, (_, index) =>
    context.runTask<null>(index === 0 ? "issuer" : "listener", { ...input, isWatching: index === 1 } satisfies MemberInput, {
      timeoutMs: 120_000,
      onMessage,
    }),
  );
  const failed = Promise.race(tasks.map(({ result }) => result.then(() => new Promise<never>(() => {}))));
  const until: Until = (isEnough) => {
    const enough = new Promise<void>((resolve) => {
      look = () => void (isEnough(heard) && resolve());
    });
    look();
    return Promise.race([failed, enough]);
  };
  await until((messages) => countOf(messages, "ready") === tasks.length);
  for (let round = 0; round < rounds; round += 1) {
    context.signal.throwIfAborted();
    heard.length = 0;
    for (const task of tasks.slice(1)) task.send({ round });
    await until((messages) => countOf(messages, "holds") === listeners);
    tasks[0]!.send({ round });
    await until((messages) => countOf(messages, "gone") > 0 && countOf(messages, "issued") > 0);
    noteRound(heard, measured);
    onRound(round);
  }
  for (const task of tasks) task.send({ round: -1 });
  await Promise.all(tasks.map((task) => task.stop()));
  return measured;
}

function noteRound(heard: readonly Report[], measured: Rounds): void {
  const { goneAt = null, knownAt = null } = heard.find(({ kind }) => kind === "gone") as Report;
  const { calledAt, pingMs, ackMs } = heard.find(({ kind }) => kind === "issued") as Report;
  measured.pingMs.push(pingMs!);
  measured.ackMs.push(ackMs!);
  const delay = deliveryOf({ goneAt, knownAt }, calledAt!);
  if (typeof delay === "number") measured.goneMs.push(delay);
  else measured[delay] += 1;
}

/** When the poll that found the value gone was asked, and when it was answered; `null`: none did. */
interface Gone {
  readonly goneAt: number | null;
  readonly knownAt: number | null;
}

/**
 * Milliseconds from the call to the first poll that missed. A poll may have been asked just before the call and still miss by it; one that was answered before it missed for another reason,
 * and would count as the fastest delivery of all.
 */
export function deliveryOf({ goneAt, knownAt }: Gone, calledAt: number): number | "never" | "early" {
  if (goneAt === null || knownAt === null) return "never";
  return knownAt < calledAt ? "early" : Math.max(0, goneAt - calledAt);
}

const GROUPS = 5;

/** Quantiles of consecutive fifths of the samples: what a median's spread is taken over. */
function inGroups(samples: readonly number[], share: number): number[] {
  const size = Math.max(1, Math.floor(samples.length / GROUPS));
  return Array.from({ length: Math.min(GROUPS, samples.length) }, (_, group) =>
    quantile(samples.slice(group * size, (group + 1) * size), share),
  );
}

/** What the quantiles leave out. */
function remarkOn({ never, early, goneMs }: Rounds): string {
  const late = never > 0 ? `${never} of ${never + goneMs.length} deliveries took over ${GIVE_UP_MS} ms` : "";
  const lost = early > 0 ? `in ${early} rounds the value was gone before the call, and they do not count` : "";
  return [late, lost].filter(Boolean).join("; ");
}

function toRow(name: string, role: Row["role"], version: string | undefined, rounds: Rounds, listeners: number): Row {
  if (rounds.goneMs.length === 0) {
    const why = rounds.early > 0 ? remarkOn(rounds) : "peers keep the old value until its time to live is over: it has no bus";
    return {
      contender: name,
      role,
      ...(version ? { version } : {}),
      cells: { p50: { kind: "missing", why }, p99: { kind: "missing", why } },
    };
  }
  const cellOf = (share: number): Cell => {
    const [, ours] = toMeasurements(
      [
        { contender: { name: LIMIT, role: "limit" }, samples: inGroups(rounds.pingMs, share) },
        { contender: { name, role }, samples: inGroups(rounds.goneMs, share) },
      ],
      LIMIT,
    );
    return ours!.cell;
  };
  const told = remarkOn(rounds);
  const ack = toMeasurements([{ contender: { name, role }, samples: inGroups(rounds.ackMs, 0.5) }], undefined)[0]!.cell;
  const pingCell = (share: number): Cell =>
    toMeasurements([{ contender: { name, role }, samples: inGroups(rounds.pingMs, share) }], undefined)[0]!.cell;
  return {
    contender: name,
    role,
    ...(version ? { version } : {}),
    cells: { p50: cellOf(0.5), p99: cellOf(0.99), ack, ping: pingCell(0.5), "ping-p99": pingCell(0.99) },
    ...(listeners > 0 && told !== "" ? { note: told } : {}),
  };
}

/** Milliseconds above PING's p99 that the slowest hundredth may take. */
const P99_ABOVE_PING_MS = 5;

function targetsOf({ contender, cells }: Row): Target[] {
  const { p50, p99, "ping-p99": ping } = cells;
  if (p50?.kind !== "measured" || p50.ratio === undefined || p99?.kind !== "measured" || ping?.kind !== "measured") return [];
  const above = p99.median - ping.median;
  return [
    { contender, column: "p50", text: `<= 2.5x PING (${p50.ratio.toFixed(2)}x)`, isMet: p50.ratio <= 2.5 },
    {
      contender,
      column: "p99",
      text: `<= PING's p99 + ${P99_ABOVE_PING_MS} ms (${above >= 0 ? "+" : ""}${above.toFixed(1)} ms)`,
      isMet: above <= P99_ABOVE_PING_MS,
    },
  ];
}

function toTable(listeners: number, rows: Row[], unavailable: Table["unavailable"]): Table {
  const targets = rows.filter(({ role }) => role === "ours").flatMap(targetsOf);
  return {
    id: `peers-${listeners}`,
    title: `From the call of invalidate to the entry gone from a peer process, ${listeners} of them connected`,
    columns: [
      { id: "p50", title: "p50", unit: "ms", better: "lower" },
      { id: "p99", title: "p99", unit: "ms", better: "lower" },
      { id: "ack", title: "call returns, p50", unit: "ms", better: "lower" },
      { id: "ping", title: "PING, p50", unit: "ms", better: "none" },
      { id: "ping-p99", title: "PING, p99", unit: "ms", better: "none" },
    ],
    rows,
    baseline: LIMIT,
    targets,
    ...(unavailable ? { unavailable } : {}),
    notes: [
      "PING was taken in turn with the row's own invalidations, on a connection of the invalidating process. One peer polls its cache, the others hold the entry and listen.",
    ],
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { installed, unavailable } = await installContenders(
    readThroughContenders.filter(({ hasBus }) => hasBus),
    context.peers,
  );
  const redis = await context.redis.start();
  const rounds = context.quick ? 30 : 500;
  const sizes = [1, 8];
  const tables: Table[] = [];
  for (const [place, listeners] of sizes.entries()) {
    const rows: Row[] = [];
    for (const [index, { contender, version }] of installed.entries()) {
      const namespace = `invalidation-${listeners}-${contender.name.replaceAll(/\W+/g, "-")}`;
      const onRound = (round: number): void => {
        const done = (index + round / rounds) / installed.length;
        context.progress.update((0.8 * (place + done)) / sizes.length, `${contender.name}, ${listeners} peers`);
      };
      const input: Omit<MemberInput, "isWatching"> = { contender: contender.name, redisUrl: redis.url, namespace };
      const measured = await measureRounds(context, input, listeners, listeners === 1 ? rounds : Math.ceil(rounds / 2), onRound);
      rows.push(toRow(contender.name, contender.role, version, measured, listeners));
    }
    tables.push(toTable(listeners, rows, unavailable));
  }
  tables.push(await measureReconnects(context, installed, unavailable));
  return { tables };
}

/** How long an invalidation takes to reach the other processes. */
export const invalidationScenario: Scenario = {
  name: "invalidation",
  title: "Invalidation: from the call to gone everywhere",
  describe:
    "Milliseconds from the call of invalidate until other processes no longer serve the old value, beside the peers that have a bus, against PING; and what a process serves whose bus is cut.",
  needs: ["redis"],
  tasks: { listener, issuer, reconnect: reconnectTask },
  run,
};
