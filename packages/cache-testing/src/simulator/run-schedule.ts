import {
  type CancelTimer,
  type Clock,
  decodeMessage,
  type InvalidationTarget,
  type RandomSource,
  type ReadThroughCache,
} from "@larder/cache-core";
import { CoherenceOracle, type VersionedValue } from "./coherence-oracle.ts";
import { drainMicrotasks } from "./drain-microtasks.ts";
import { BUSY_MS, type FaultPlan, type LoadPlan, type Operation, type SchedulePlan } from "./schedule-plan.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import { SimulatedBusPort, SimulatedRedisPort } from "./simulated-ports.ts";
import { SimulatedRedis, type Snapshot } from "./simulated-redis.ts";
import { type ScriptAblations, SimulatedScripts } from "./simulated-scripts.ts";
import { VirtualTime } from "./virtual-time.ts";

/** What a simulated process is given to make its cache of. */
export interface ProcessContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly redisPort: SimulatedRedisPort;
  readonly busPort: SimulatedBusPort;
  /** The schedule's time to live in milliseconds. */
  readonly ttlMs: number;
}

/** Makes one process's cache, from the product's own parts over the simulated connections. */
export type CreateProcess = (context: ProcessContext) => ReadThroughCache<unknown>;

/** How schedules are run. */
export interface ScheduleOptions {
  readonly create: CreateProcess;
  /** The caches' own bound, in milliseconds. */
  readonly maxStalenessMs: number;
  /** Milliseconds that a read without a loader may take at most. */
  readonly readLimitMs: number;
  /** Mechanisms switched off in the server and the connections. @default none */
  readonly ablations?: Omit<ScriptAblations, "publishFirst"> & { readonly publishFirst?: boolean; readonly acknowledgesEarly?: boolean };
}

/** What a schedule came to. */
export interface ScheduleResult {
  readonly seed: number;
  /** What was promised and not kept; empty for a good schedule. */
  readonly violations: readonly string[];
  readonly steps: number;
  readonly reads: number;
  /** The same for the same seed and code. */
  readonly traceHash: number;
}

/** Virtual milliseconds given to everything to come to rest after the faults are over. */
const SETTLE_MS = 1_200;
const TAGS = ["red", "blue"];

const keyName = (index: number): string => `k${index}`;
const tagOf = (index: number): string => TAGS[index % TAGS.length] as string;

/** One process of a schedule: alive, paused, or gone. */
interface Process {
  readonly index: number;
  cache: ReadThroughCache<unknown>;
  links: readonly SimulatedLink[];
  isAlive: boolean;
  isPaused: boolean;
  heldTimers: Array<() => void>;
  wallSkewMs: number;
  /** The origin that the process's messages carry begins with this. */
  origin: string;
}

/**
 * One schedule from beginning to end: processes with real caches over simulated connections, operations and faults as planned, an oracle
 * that judges every read, and at last a world at rest in which nobody may hold anything that was invalidated.
 */
class ScheduleRun {
  readonly #plan: SchedulePlan;
  readonly #options: ScheduleOptions;
  readonly #time: VirtualTime = new VirtualTime();
  readonly #random: SeededRandom;
  readonly #redis: SimulatedRedis;
  readonly #scripts: SimulatedScripts;
  readonly #oracle: CoherenceOracle;
  readonly #processes: Process[] = [];
  /** Keys that somebody writes: commit and invalidation of one key do not overlap, as under a row lock. */
  readonly #locked: Set<string> = new Set();
  readonly #snapshots: Map<number, Snapshot> = new Map();
  #reads = 0;
  #hash = 0x811c9dc5;

  constructor(plan: SchedulePlan, options: ScheduleOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#random = new SeededRandom(plan.seed ^ 0x5bd1e995);
    this.#redis = new SimulatedRedis(this.#time);
    const { publishFirst, acknowledgesEarly: _, ...ablations } = options.ablations ?? {};
    const later = (remainder: () => void): void => {
      this.#time.schedule(this.#random.next() * 10, remainder);
    };
    this.#scripts = new SimulatedScripts(this.#redis, publishFirst ? { ...ablations, publishFirst: later } : ablations);
    this.#oracle = new CoherenceOracle(options.maxStalenessMs);
  }

  run(): ScheduleResult {
    const { processes, operations, faults } = this.#plan;
    this.#watchPublications();
    for (let index = 0; index < processes; index += 1) this.#processes.push(this.#boot(index));
    this.#advance(40);
    for (const operation of operations) this.#time.schedule(operation.at, () => this.#perform(operation));
    for (const [index, fault] of faults.entries()) this.#planFault(index, fault);
    this.#advance(BUSY_MS);
    this.#heal();
    this.#advance(SETTLE_MS);
    this.#checkRest("get", (process, key) => process.cache.get(key));
    this.#checkRest("getOrSet", (process, key, index) =>
      process.cache.getOrSet(key, () => this.#oracle.read(key), { tags: [tagOf(index)] }),
    );
    for (const process of this.#processes) this.#stop(process);
    return {
      seed: this.#plan.seed,
      violations: this.#oracle.violations,
      steps: this.#time.steps,
      reads: this.#reads,
      traceHash: this.#hash >>> 0,
    };
  }

  #advance(ms: number): void {
    const until = this.#time.now + ms;
    while (this.#time.runNext(until)) drainMicrotasks();
  }

  #trace(...parts: readonly number[]): void {
    for (const part of parts) this.#hash = Math.imul(this.#hash ^ (part | 0), 0x01000193);
  }

  /** Hears what is published, to know what each message stands for. */
  #watchPublications(): void {
    const publish = this.#redis.publish.bind(this.#redis);
    this.#redis.publish = (channel, text) => {
      const message = decodeMessage(text);
      if (message)
        this.#oracle.onPublish(this.#callName(message.origin, message.target), `${message.epoch} ${message.seq}`, this.#time.now);
      publish(channel, text);
    };
  }

  #callName(origin: string, target: InvalidationTarget): string {
    const process = this.#processes.find((candidate) => candidate.origin !== "" && origin.startsWith(candidate.origin));
    return `${process?.index ?? -1} ${JSON.stringify(target)}`;
  }

  #boot(index: number): Process {
    const process: Process = {
      index,
      cache: undefined as never,
      links: [],
      isAlive: true,
      isPaused: false,
      heldTimers: [],
      wallSkewMs: 0,
      origin: "",
    };
    const random = new SeededRandom(this.#random.bits());
    // The first token that a process draws is its bus's origin: remembered, to know its messages.
    const named: RandomSource = {
      next: () => random.next(),
      token: () => {
        const token = random.token();
        if (process.origin === "") process.origin = token;
        return token;
      },
    };
    const clock = this.#clock(process);
    const context = {
      time: this.#time,
      clock,
      random: this.#random,
      weather: this.#plan.weather,
      redis: this.#redis,
      scripts: this.#scripts,
      acknowledgesEarly: this.#options.ablations?.acknowledgesEarly === true,
      onDelivery: (_: string, text: string) => {
        const message = decodeMessage(text);
        if (message && process.isAlive) this.#oracle.onDelivered(process.index, `${message.epoch} ${message.seq}`);
      },
    };
    const redisPort = new SimulatedRedisPort(context);
    const busPort = new SimulatedBusPort(context);
    process.links = [...redisPort.links, ...busPort.links];
    process.cache = this.#options.create({ clock, random: named, redisPort, busPort, ttlMs: this.#plan.ttlMs });
    return process;
  }

  #clock(process: Process): Clock {
    return {
      now: () => this.#time.now,
      wallNow: () => this.#redis.now + process.wallSkewMs,
      setTimer: (callback, delayMs): CancelTimer => {
        let isCancelled = false;
        const fire = (): void => {
          if (isCancelled || !process.isAlive) return;
          if (process.isPaused) process.heldTimers.push(fire);
          else callback();
        };
        const cancel = delayMs === Infinity ? () => {} : this.#time.schedule(delayMs, fire);
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  #perform(operation: Operation): void {
    const process = this.#processes[operation.process] as Process;
    if (!process.isAlive || process.isPaused) return;
    switch (operation.kind) {
      case "get":
        this.#read(process, operation.key, "get", (cache, key) => cache.get(key));
        break;
      case "load":
        this.#load(process, operation.key, operation.load);
        break;
      case "delete":
        this.#ignore(() => process.cache.delete(keyName(operation.key)));
        break;
      case "clear":
        this.#ignore(() => process.cache.clear());
        break;
      case "set":
        this.#write(process, [operation.key], { kind: "key", key: keyName(operation.key) }, (cache, value) =>
          this.#set(cache, operation.key, value),
        );
        break;
      default:
        this.#invalidate(process, operation);
    }
  }

  async #set(cache: ReadThroughCache<unknown>, key: number, versions: ReadonlyMap<string, number>): Promise<boolean> {
    const name = keyName(key);
    return cache.set(name, { key: name, version: versions.get(name) as number }, { tags: [tagOf(key)] });
  }

  #invalidate(process: Process, operation: Operation): void {
    const all = Array.from({ length: this.#plan.keys }, (_, index) => index);
    if (operation.kind === "write") {
      const key = keyName(operation.key);
      this.#write(process, [operation.key], { kind: "key", key }, async (cache) => (await cache.invalidate(key)).propagated);
    } else if (operation.kind === "write-tag") {
      const tag = tagOf(operation.key);
      const keys = all.filter((index) => tagOf(index) === tag);
      this.#write(process, keys, { kind: "tag", tag }, async (cache) => (await cache.invalidateTag(tag)).propagated);
    } else if (operation.kind === "write-pattern") {
      this.#write(process, all, { kind: "pattern", pattern: "k*" }, async (cache) => (await cache.invalidateMatching("k*")).propagated);
    } else {
      this.#write(process, all, { kind: "all" }, async (cache) => (await cache.invalidateAll()).propagated);
    }
  }

  /** Commits, then lets the cache know, as an application does. */
  #write(
    process: Process,
    indexes: readonly number[],
    target: InvalidationTarget,
    tell: (cache: ReadThroughCache<unknown>, versions: ReadonlyMap<string, number>) => Promise<boolean>,
  ): void {
    const keys = indexes.map(keyName);
    if (keys.some((key) => this.#locked.has(key))) return;
    for (const key of keys) this.#locked.add(key);
    const versions = this.#oracle.commit(keys);
    const name = `${process.index} ${JSON.stringify(target)}`;
    this.#oracle.onCall(name, versions);
    const { cache } = process;
    const unlock = (): void => {
      for (const key of keys) this.#locked.delete(key);
    };
    tell(cache, versions).then(
      (isPropagated) => {
        unlock();
        if (!process.isAlive || process.cache !== cache) return;
        this.#trace(process.index, this.#time.now * 1_000, isPropagated ? 1 : 2);
        this.#oracle.onReturn(process.index, name, versions, isPropagated);
        this.#told.push({ process, cache, versions });
      },
      (error: unknown) => {
        unlock();
        if (process.isAlive) this.#oracle.violations.push(`process ${process.index}: an invalidation rejected with ${String(error)}`);
      },
    );
  }

  /** Invalidations that came back, propagated or pending: at rest they must hold, if their process lived on. */
  readonly #told: Array<{ process: Process; cache: ReadThroughCache<unknown>; versions: ReadonlyMap<string, number> }> = [];

  #load(process: Process, index: number, plan: LoadPlan): void {
    const controller = new AbortController();
    if (plan.abortAfterMs !== undefined) this.#time.schedule(plan.abortAfterMs, () => controller.abort());
    this.#read(process, index, "getOrSet", (cache, key) =>
      cache.getOrSet(key, () => this.#loadFromDatabase(key, plan), {
        tags: [tagOf(index)],
        singleFlight: plan.singleFlight,
        forceRefresh: plan.forceRefresh,
        ...(plan.isStaleAllowed ? { staleWhileRevalidateMs: 200, staleIfErrorMs: 400 } : {}),
        ...(plan.abortAfterMs === undefined ? {} : { signal: controller.signal }),
      }),
    );
  }

  #loadFromDatabase(key: string, plan: LoadPlan): Promise<VersionedValue> {
    return new Promise((resolve, reject) => {
      this.#time.schedule(plan.readAfterMs, () => {
        const value = this.#oracle.read(key);
        this.#time.schedule(plan.answerAfterMs, () => (plan.fails ? reject(new Error("the database failed")) : resolve(value)));
      });
    });
  }

  #read(process: Process, index: number, what: "get" | "getOrSet", read: (cache: ReadThroughCache<unknown>, key: string) => unknown): void {
    const key = keyName(index);
    const ticket = this.#oracle.startRead(process.index, key, this.#time.now);
    const { cache } = process;
    const isCurrent = (): boolean => process.isAlive && process.cache === cache;
    this.#reads += 1;
    const finish = (value: unknown): void => {
      if (!isCurrent()) return;
      this.#trace(
        process.index,
        index,
        this.#time.now * 1_000,
        value === undefined ? -1 : ((value as VersionedValue | null)?.version ?? -2),
      );
      this.#oracle.finishRead(ticket, value, this.#time.now, what);
      const tookMs = this.#time.now - ticket.startedAt;
      if (what === "get" && tookMs > this.#options.readLimitMs && !this.#wasPaused.has(process)) {
        this.#oracle.violations.push(`I7 process ${process.index}: a get took ${tookMs.toFixed(1)} ms`);
      }
    };
    const fail = (error: unknown): void => {
      const text = String(error);
      if (!isCurrent() || (what === "getOrSet" && /the database failed|ERR_CACHE_ABORTED/.test(text))) return;
      this.#oracle.violations.push(`I7 process ${process.index}: ${what} failed with ${text}`);
    };
    try {
      const answer = read(cache, key);
      if (answer instanceof Promise) answer.then(finish, fail);
      else finish(answer);
    } catch (error) {
      fail(error);
    }
  }

  /** Processes whose event loop stood still: their reads may have taken long. */
  readonly #wasPaused: Set<Process> = new Set();

  #ignore(run: () => unknown): void {
    void (async () => run())().catch(() => {});
  }

  #planFault(index: number, fault: FaultPlan): void {
    if (fault.kind === "failover") {
      this.#time.schedule(Math.max(0, fault.at - fault.lagMs), () => this.#snapshots.set(index, this.#redis.snapshot()));
    }
    this.#time.schedule(fault.at, () => this.#inflict(index, fault));
  }

  #inflict(index: number, fault: FaultPlan): void {
    this.#trace(index, fault.at * 1_000);
    switch (fault.kind) {
      case "cut":
      case "bar":
      case "stall":
        this.#disturb(fault);
        break;
      case "pause":
        this.#pause(this.#processes[fault.process] as Process, fault.forMs);
        break;
      case "crash":
        this.#crash(this.#processes[fault.process] as Process, fault.forMs);
        break;
      case "jump":
        (this.#processes[fault.process] as Process).wallSkewMs += fault.byMs;
        break;
      case "flush":
        this.#redis.flush();
        break;
      case "evict": {
        const keys = this.#redis.keys();
        if (keys.length > 0) this.#redis.evict(keys[fault.which % keys.length] as string);
        break;
      }
      case "full":
        this.#redis.isFull = true;
        this.#time.schedule(fault.forMs, () => {
          this.#redis.isFull = false;
        });
        break;
      case "failover":
        this.#redis.restartFrom(this.#snapshots.get(index) ?? new Map());
        for (const process of this.#processes) for (const link of process.links) link.cut();
        break;
      case "corrupt":
        for (const key of this.#redis.keys()) if (key.endsWith(`v:${keyName(fault.key)}`)) this.#redis.corrupt(key, fault.byte, fault.bits);
        break;
    }
  }

  #disturb(fault: Extract<FaultPlan, { kind: "cut" | "bar" | "stall" }>): void {
    const process = this.#processes[fault.process] as Process;
    const link = process.links[fault.link % process.links.length] as SimulatedLink;
    if (!process.isAlive) return;
    if (fault.kind === "cut") {
      link.cut();
    } else if (fault.kind === "bar") {
      link.bar();
      this.#time.schedule(fault.forMs, () => link.unbar());
    } else {
      link.stall();
      this.#time.schedule(fault.forMs, () => {
        if (!process.isPaused) link.resume();
      });
    }
  }

  /** The event loop stands still. When it goes on, whoever reads first reads before any late timer or message is handled. */
  #pause(process: Process, forMs: number): void {
    if (!process.isAlive || process.isPaused) return;
    process.isPaused = true;
    this.#wasPaused.add(process);
    for (const link of process.links) link.stall();
    this.#time.schedule(forMs, () => this.#resume(process));
  }

  #resume(process: Process): void {
    if (!process.isPaused) return;
    process.isPaused = false;
    if (process.isAlive)
      for (let key = 0; key < this.#plan.keys; key += 1) this.#read(process, key, "get", (cache, name) => cache.get(name));
    for (const fire of process.heldTimers.splice(0)) this.#time.schedule(0, fire);
    for (const link of process.links) this.#time.schedule(this.#random.next(), () => link.resume());
  }

  #crash(process: Process, forMs: number): void {
    if (!process.isAlive) return;
    this.#stop(process);
    this.#oracle.onCrash(process.index);
    this.#time.schedule(forMs, () => {
      this.#processes[process.index] = this.#boot(process.index);
    });
  }

  #stop(process: Process): void {
    process.isAlive = false;
    for (const link of process.links) link.close();
  }

  #heal(): void {
    this.#redis.isFull = false;
    for (const process of this.#processes) {
      if (process.isPaused) this.#resume(process);
      for (const link of process.links) {
        link.resume();
        if (process.isAlive) link.unbar();
      }
    }
  }

  /** At rest nobody may hold anything older than what was invalidated, and whoever loads gets it. */
  #checkRest(what: string, read: (process: Process, key: string, index: number) => unknown): void {
    for (const { process, cache, versions } of this.#told) {
      if (process.isAlive && process.cache === cache) this.#oracle.expectDurable(versions);
    }
    for (const process of this.#processes) {
      if (!process.isAlive) continue;
      for (let index = 0; index < this.#plan.keys; index += 1) {
        const key = keyName(index);
        const ticket = { process: process.index, key, startedAt: this.#time.now, floor: this.#oracle.durable(key) };
        this.#reads += 1;
        void (async () => read(process, key, index))().then(
          (value) => this.#oracle.finishRead(ticket, value, this.#time.now, `${what} at rest`),
          (error: unknown) => {
            // It may have joined a load that began while there were still faults.
            if (/the database failed/.test(String(error))) return;
            this.#oracle.violations.push(`process ${process.index}: ${what} at rest failed with ${String(error)}`);
          },
        );
      }
    }
    this.#advance(120);
  }
}

/** Runs one schedule. Must be called from a turn of the event loop of its own, not from a promise callback: see `drainMicrotasks`. */
export function runSchedule(plan: SchedulePlan, options: ScheduleOptions): ScheduleResult {
  return new ScheduleRun(plan, options).run();
}
