import { Redis } from "ioredis";
import { readThroughContenders } from "../contenders/load-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import type { ReadThroughCache } from "../contenders/read-through.ts";
import type { TaskContext } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";

// One of the processes of the soak: reads and writes a few keys without pause through its cache, whose Redis and bus go bad, and judges
// every read. The truth is a counter a key in a database that stays well. Two rules:
// - own: a read begun after an invalidation ended in this process gives at least what was committed before it;
// - bounded: a read begun `boundMs` after an invalidation was told as done in any process does too. Workers hear of each other's through
//   the parent; what comes late is judged late and so never too strictly.

/** What the parent hands over. */
export interface SoakInput {
  readonly contender: string;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly seed: number;
  readonly runMs: number;
  readonly boundMs: number;
}

/** What a worker saw. */
export interface SoakOutput {
  readonly reads: number;
  readonly writes: number;
  readonly ownViolations: number;
  readonly boundViolations: number;
  readonly unhandled: number;
  /** Megabytes after a full collection, half way and at the end. */
  readonly heapMegabytes: readonly [middle: number, end: number];
}

/** An invalidation told as done: from `fromMs` on, reads give at least this version. Instants are of the machine's monotonic clock. */
export interface Floor {
  readonly key: string;
  readonly version: number;
  readonly fromMs: number;
}

const KEYS = 12;
const READS_A_TURN = 20;
const MOST_PENDING = 200;
const WRITE_SHARE = 0.05;
const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Floors of all keys, those to come included. */
class Floors {
  readonly #own: Map<string, number> = new Map();
  readonly #bounded: Map<string, number> = new Map();
  readonly #toCome: Floor[] = [];

  raiseOwn(key: string, version: number): void {
    this.#own.set(key, Math.max(version, this.own(key)));
  }

  announce(floor: Floor): void {
    this.#toCome.push(floor);
  }

  own(key: string): number {
    return this.#own.get(key) ?? 0;
  }

  bounded(key: string, atMs: number): number {
    while (this.#toCome.length > 0 && this.#toCome[0]!.fromMs <= atMs) {
      const { key: due, version } = this.#toCome.shift()!;
      this.#bounded.set(due, Math.max(version, this.#bounded.get(due) ?? 0));
    }
    return this.#bounded.get(key) ?? 0;
  }
}

class SoakWorker {
  readonly #cache: ReadThroughCache;
  readonly #database: Redis;
  readonly #random: () => number;
  readonly #boundMs: number;
  readonly #tell: (floor: Floor) => void;
  readonly #floors: Floors;
  readonly counts: { reads: number; writes: number; ownViolations: number; boundViolations: number } = {
    reads: 0,
    writes: 0,
    ownViolations: 0,
    boundViolations: 0,
  };

  constructor(cache: ReadThroughCache, database: Redis, input: SoakInput, floors: Floors, tell: (floor: Floor) => void) {
    this.#cache = cache;
    this.#database = database;
    this.#random = createSeededRandom(input.seed);
    this.#boundMs = input.boundMs;
    this.#floors = floors;
    this.#tell = tell;
  }

  pickKey(): string {
    return `soak-${Math.floor(this.#random() ** 2 * KEYS)}`;
  }

  isWriting(): boolean {
    return this.#random() < WRITE_SHARE;
  }

  /** An old value in hand while the world goes on is what fences are for. */
  readonly #load = async (key: string): Promise<{ version: number }> => {
    const isSlow = this.#random() < 0.5;
    const version = Number((await this.#database.get(key)) ?? 0);
    if (isSlow) await sleep(this.#random() * 40);
    return { version };
  };

  async read(key: string): Promise<void> {
    const [own, bounded] = [this.#floors.own(key), this.#floors.bounded(key, nowMs())];
    const answer = (await this.#cache.getOrSet(key, this.#load)) as { version?: number } | undefined;
    const version = answer?.version ?? -1;
    this.counts.reads += 1;
    if (version < own) this.counts.ownViolations += 1;
    else if (version < bounded) this.counts.boundViolations += 1;
  }

  async write(key: string): Promise<void> {
    const version = await this.#database.incr(key);
    const told = (await this.#cache.invalidate(key)) as { propagated?: boolean } | undefined;
    this.counts.writes += 1;
    this.#floors.raiseOwn(key, version);
    if (told?.propagated !== false) this.#tell({ key, version, fromMs: nowMs() + this.#boundMs });
  }
}

function collectedMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Runs one worker until its time is over. */
export async function soakWorker(input: unknown, task: TaskContext): Promise<SoakOutput> {
  const asked = input as SoakInput;
  let unhandled = 0;
  process.on("unhandledRejection", () => {
    unhandled += 1;
  });
  for (const method of ["log", "warn", "error"] as const) console[method] = () => {};
  const contender = readThroughContenders.find(({ name }) => name === asked.contender)!;
  const setting = { redisUrl: asked.redisUrl, namespace: "soak", ttlMs: 600_000 };
  const cache = await contender.create(setting, createPeers({ signal: task.signal }));
  const database = new Redis(asked.databaseUrl);
  const floors = new Floors();
  task.onMessage((message) => floors.announce(message as Floor));
  const worker = new SoakWorker(cache, database, asked, floors, (floor) => task.send(floor));
  await Promise.race([cache.ready(), sleep(2_000)]);
  const pending = new Set<Promise<void>>();
  // A call that fails is no read; what hangs is given up at the end.
  const start = (work: Promise<void>): void => {
    const tracked = work.catch(() => {}).finally(() => pending.delete(tracked));
    pending.add(tracked);
  };
  const startedAt = performance.now();
  let middle: number | undefined;
  while (performance.now() - startedAt < asked.runMs && !task.signal.aborted) {
    for (let read = 0; read < READS_A_TURN && pending.size < MOST_PENDING; read += 1) start(worker.read(worker.pickKey()));
    if (worker.isWriting()) start(worker.write(worker.pickKey()));
    if (middle === undefined && performance.now() - startedAt > asked.runMs / 2) middle = collectedMegabytes();
    await sleep(4);
  }
  await Promise.race([Promise.all(pending), sleep(3_000)]);
  const end = collectedMegabytes();
  return { ...worker.counts, unhandled, heapMegabytes: [middle ?? end, end] };
}
