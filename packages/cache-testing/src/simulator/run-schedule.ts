import { decodeMessage } from "@larder/cache-core";
import { CoherenceOracle, type Promises } from "./coherence-oracle.ts";
import { drainMicrotasks, withTicks } from "./drain-microtasks.ts";
import { FaultInjector } from "./fault-injector.ts";
import { keyName } from "./judged-reads.ts";
import { LaneNames, type NamespaceOf } from "./lane-names.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import { SeededRandom } from "./seeded-random.ts";
import { SimulatedAddress } from "./simulated-address.ts";
import { type CreateProcess, type ProcessAblations, type SharedWorld, SimulatedProcess } from "./simulated-process.ts";
import { SimulatedRedis } from "./simulated-redis.ts";
import { type ScriptAblations, SimulatedScripts } from "./simulated-scripts.ts";
import { VirtualTime } from "./virtual-time.ts";
import { callName, Workload } from "./workload.ts";

/** How schedules are run. */
export interface ScheduleOptions {
  readonly create: CreateProcess;
  /** The caches' own bound, in milliseconds. */
  readonly maxStalenessMs: number;
  /** Milliseconds that a read without a loader may take at most. */
  readonly readLimitMs: number;
  /** The second tier's own bound of a load, in milliseconds. @default that of `RedisCache`, ten minutes */
  readonly maxLoadMs?: number | undefined;
  /** Whether a cache may refuse what is too much for it at one time, though nothing is wrong: its bound of calls in flight is narrow. @default false */
  readonly mayRefuse?: boolean | undefined;
  /** Which of a process's caches keeps a key, by its namespace, where it has several over one bus. @default all keys are kept by one */
  readonly namespaceOf?: NamespaceOf | undefined;
  /** Whether a process that ends closes its cache before, and waits for that; else it is gone without a word. @default false */
  readonly isOrderly?: boolean | undefined;
  /** Mechanisms switched off in the server, the connections and what the processes are given. @default none */
  readonly ablations?: Omit<ScriptAblations, "publishFirst"> & ProcessAblations & { readonly publishFirst?: boolean };
}

/** What a schedule came to. */
export interface ScheduleResult {
  readonly seed: number;
  /** What was promised and not kept; empty for a good schedule. */
  readonly violations: readonly string[];
  /** Timers, replies and messages that were delivered. */
  readonly steps: number;
  /** Reads that were judged. */
  readonly reads: number;
  /** Scripts that the server ran, by name. */
  readonly commands: Readonly<Record<string, number>>;
  /** Messages that the server sent to subscribers. */
  readonly pushed: number;
  /** The same for the same seed and code. */
  readonly traceHash: number;
}

/** Virtual milliseconds in which everything starts. */
const START_MS = 40;
/** The same where a process must also find out that bus and second tier are on different servers: two heartbeats. */
const APART_START_MS = 340;
/** At most this long everything is given to come to rest after the faults are over. */
const SETTLE_MS = 1_200;
/** The same where a process that ends may have to close first. */
const ORDERLY_SETTLE_MS = 4_400;
/** How often it is looked whether everything has. */
const SETTLE_SLICE_MS = 10;
/** A heartbeat, and a connection that comes back. */
const CALM_MS = 330;
/** One-way trips beside them: connect, subscribe, ask, read the log, with room. */
const CALM_TRIPS = 12;
/**
 * What a process needs beside those trips, once it has heard a heartbeat that shows something to be missing: it reads the log, and where that
 * is lost it asks anew, 25 ms after the last time at the soonest, and drops everything. Until then it has no proof and may serve what it has.
 */
const LEARN_MS = 30;
/** At most this long the reads at rest may take: they may wait out the lease, of two seconds, of a process that died or gave up. */
const REST_MS = 5_000;

/**
 * One schedule from beginning to end: processes with real caches over simulated connections, operations and faults as planned, an oracle
 * that judges every read, and at last a world at rest in which nobody may hold anything that was invalidated.
 */
class ScheduleRun {
  readonly #plan: SchedulePlan;
  readonly #time: VirtualTime = new VirtualTime();
  readonly #random: SeededRandom;
  /** The second tier's servers, one for each shard, and the bus's: the same, unless the plan sets them apart. */
  readonly #stores: readonly SimulatedAddress[];
  readonly #buses: readonly SimulatedAddress[];
  readonly #oracle: CoherenceOracle;
  readonly #world: SharedWorld;
  readonly #workload: Workload;
  readonly #lanes: LaneNames;
  readonly #isOrderly: boolean;
  readonly #processes: SimulatedProcess[] = [];
  /** Lives that each process has had. */
  readonly #lives: number[] = [];
  /** Servers that there have been. */
  #servers = 0;
  #hash = 0x811c9dc5;

  constructor(plan: SchedulePlan, options: ScheduleOptions) {
    this.#plan = plan;
    this.#random = SeededRandom.of(plan.seed);
    this.#stores = Array.from({ length: plan.shards ?? 1 }, () => this.#createAddress(options));
    const shards = this.#stores.map(({ master }) => master.redis);
    for (const shard of shards) shard.peers = shards.filter((other) => other !== shard);
    this.#buses = plan.apart ? [this.#createAddress(options)] : this.#stores;
    const { maxStalenessMs, readLimitMs, maxLoadMs, mayRefuse = false, namespaceOf, isOrderly = false } = options;
    this.#lanes = new LaneNames(plan.lanes ?? 1, namespaceOf);
    this.#isOrderly = isOrderly;
    this.#oracle = new CoherenceOracle({
      maxStalenessMs,
      ttlMs: plan.ttlMs,
      laneOf: (key) => this.#lanes.ofKey(key),
      ...this.#storePromises(),
    });
    this.#workload = new Workload({
      time: this.#time,
      oracle: this.#oracle,
      processes: this.#processes,
      plan,
      maxStalenessMs,
      readLimitMs,
      maxLoadMs,
      mayRefuse,
      trace: (...parts) => this.#trace(parts),
    });
    this.#world = this.#createWorld(options);
  }

  run(): ScheduleResult {
    const { processes, operations, busyMs, seed, apart } = this.#plan;
    for (const { master } of this.#buses) master.redis.watcher = { hear: (channel, text) => this.#onPublish(channel, text) };
    if (apart) for (const { master } of this.#stores) master.redis.watcher = { hear: (channel, text) => this.#onStore(channel, text) };
    // What was never there is away before anybody connects.
    for (const store of this.#stores) store.isAway = apart !== undefined && apart.at < 0;
    for (let index = 0; index < processes; index += 1) this.#boot(index);
    this.#advance(apart ? APART_START_MS : START_MS);
    for (const operation of operations) this.#time.schedule(operation.at, () => this.#workload.perform(operation));
    const faults = this.#planFaults();
    this.#advance(busyMs);
    faults.heal();
    this.#settle();
    this.#checkRest("get", () => this.#workload.readAtRest("get"));
    if (this.#plan.loadsAtRest) {
      this.#checkRest("getOrSet", () => this.#workload.readAtRest("getOrSet"));
      this.#checkRest("a second get", () => this.#workload.readKept());
      this.#workload.judgeKept();
    }
    this.#workload.finish();
    const { violations } = this.#oracle;
    // One process's in each schedule: snapshots of counters cost more than counting.
    const audited = this.#processes[Math.abs(seed) % processes];
    if (audited?.isAlive) violations.push(...audited.checkBooks());
    for (const process of this.#processes) process.stop();
    return {
      seed,
      violations,
      steps: this.#time.steps,
      reads: this.#workload.reads,
      commands: countRuns(this.#stores),
      pushed: this.#buses.flatMap(({ servers }) => servers).reduce((sum, { redis }) => sum + redis.pushed, 0),
      traceHash: this.#hash >>> 0,
    };
  }

  #createAddress({ ablations: { publishFirst, ...ablations } = {} }: ScheduleOptions): SimulatedAddress {
    const later = (remainder: () => void): void => {
      this.#time.schedule(this.#random.next() * 10, remainder);
    };
    return new SimulatedAddress(this.#time, () => {
      this.#servers += 1;
      const redis = new SimulatedRedis(this.#time, `server${this.#servers}:`);
      return { redis, scripts: new SimulatedScripts(redis, publishFirst ? { ...ablations, publishFirst: later } : ablations) };
    });
  }

  #createWorld(options: ScheduleOptions): SharedWorld {
    const { publishFirst: _, ...ablations } = options.ablations ?? {};
    return {
      plan: this.#plan,
      time: this.#time,
      store: this.#stores,
      bus: this.#buses,
      create: options.create,
      ablations,
      onPublish: (channel, text) => this.#onPublish(channel, text),
      onDelivery: (process, channel, text) => this.#oracle.onDelivered(process.index, channel, text),
      onTold: (process, key) => this.#workload.onTold(process, key),
    };
  }

  #advance(ms: number): void {
    const until = this.#time.now + ms;
    while (this.#time.runNext(until)) drainMicrotasks();
  }

  #trace(parts: readonly number[]): void {
    for (const part of parts) this.#hash = Math.imul(this.#hash ^ (part | 0), 0x01000193);
  }

  /** A message is published: what it stands for is told to the oracle. */
  #onPublish(channel: string, text: string): void {
    const name = this.#nameOf(text);
    if (name !== undefined) this.#oracle.onPublish(name, this.#lanes.ofChannel(channel), { channel, text }, this.#time.now);
  }

  /** The same where nobody on the bus hears it. */
  #onStore(channel: string, text: string): void {
    const name = this.#nameOf(text);
    if (name !== undefined) this.#oracle.onStored(name, this.#lanes.ofChannel(channel));
  }

  /** The call that a message tells of; `undefined` for one that tells of none. */
  #nameOf(text: string): string | undefined {
    const message = decodeMessage(text);
    if (!message) return undefined;
    const { origin, target } = message;
    const sender = this.#processes.find((candidate) => candidate.origin !== "" && origin.startsWith(candidate.origin));
    return callName(sender?.index ?? -1, target);
  }

  #storePromises(): Pick<Promises, "store"> {
    const { apart } = this.#plan;
    if (!apart) return {};
    return { store: { isAbsent: apart.at < 0 && apart.forMs === Infinity, isAway: () => this.#stores[0]?.isAway === true } };
  }

  #boot(index: number): void {
    const life = this.#lives[index] ?? 0;
    this.#lives[index] = life + 1;
    this.#processes[index] = new SimulatedProcess(this.#world, index, life);
  }

  #planFaults(): FaultInjector {
    const injector = new FaultInjector({
      time: this.#time,
      addresses: [...new Set([...this.#stores, ...this.#buses])],
      random: this.#random,
      processes: this.#processes,
      boot: (index) => this.#boot(index),
      isOrderly: this.#isOrderly,
      onFault: (index, at) => this.#trace([index, at * 1_000]),
      onResume: (process) => this.#workload.readAll(process),
      onCrash: (process) => this.#workload.onCrash(process),
      onViolation: (violation) => void this.#oracle.violations.push(violation),
    });
    for (const [index, fault] of this.#plan.faults.entries()) injector.plan(index, fault, keyName);
    if (this.#plan.apart) for (const store of this.#stores) injector.planOutage(store, this.#plan.apart);
    return injector;
  }

  /**
   * Waits until whatever was told has taken effect, and then until every process has heard a heartbeat that it sent after that and has had
   * time to learn what this showed to be missing: by then it must know all. Where none comes, as long as a process needs that has lost its
   * connection, which is less than the promise allows: the check at rest is to find what a later heartbeat or the staleness bound would
   * cover up.
   */
  #settle(): void {
    const { latencyMs, spreadMs } = this.#plan.weather;
    const tripMs = latencyMs + spreadMs;
    const calmMs = CALM_MS + CALM_TRIPS * tripMs;
    const endAt = this.#time.now + (this.#isOrderly ? ORDERLY_SETTLE_MS : SETTLE_MS);
    let quietAt = Infinity;
    while (this.#time.now < endAt && this.#time.now - quietAt < calmMs) {
      if (this.#isAnyClosing() || !this.#workload.isAllDurable()) quietAt = Infinity;
      else if (quietAt === Infinity) quietAt = this.#time.now;
      else if (this.#processes.every((process) => !process.isAlive || process.heardBeatAt >= quietAt)) break;
      this.#advance(SETTLE_SLICE_MS);
    }
    this.#advance(LEARN_MS + CALM_TRIPS * tripMs);
  }

  #isAnyClosing(): boolean {
    return this.#isOrderly && this.#processes.some((process) => process.isAlive && process.isClosing);
  }

  #checkRest(what: string, begin: () => void): void {
    begin();
    drainMicrotasks();
    const until = this.#time.now + REST_MS;
    while (this.#workload.openAtRest > 0 && this.#time.runNext(until)) drainMicrotasks();
    if (this.#workload.openAtRest > 0)
      this.#oracle.violations.push(`I7 ${what} at rest: ${this.#workload.openAtRest} reads were never answered`);
  }
}

/** Scripts that servers have run, by name. */
function countRuns(addresses: readonly SimulatedAddress[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { scripts } of addresses.flatMap(({ servers }) => servers))
    for (const [name, runs] of scripts.runs) counts[name] = (counts[name] ?? 0) + runs;
  return counts;
}

/** Runs one schedule. Must be called from a turn of the event loop of its own, not from a promise callback: see `drainMicrotasks`. */
export function runSchedule(plan: SchedulePlan, options: ScheduleOptions): ScheduleResult {
  return withTicks(() => new ScheduleRun(plan, options).run());
}
