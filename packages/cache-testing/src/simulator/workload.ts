import type { InvalidationTarget, ReadThroughCache } from "@larder/cache-core";
import { isCalmPlan, SETTLED_AT } from "./calm-plan.ts";
import type { CoherenceOracle, ReadTicket, VersionedValue } from "./coherence-oracle.ts";
import { DropJudge } from "./drop-judge.ts";
import { JudgedReads, keyName, type Read, type ReadTerms } from "./judged-reads.ts";
import { Loads } from "./loads.ts";
import type { Operation } from "./operation-plan.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { VirtualTime } from "./virtual-time.ts";
import { WriteJudge } from "./write-judge.ts";

/** What a schedule's operations run on. */
export interface WorkloadContext {
  readonly time: VirtualTime;
  readonly oracle: CoherenceOracle;
  /** By index; a crash puts another one in its place. */
  readonly processes: readonly SimulatedProcess[];
  readonly plan: SchedulePlan;
  /** The caches' own bound, in milliseconds. */
  readonly maxStalenessMs: number;
  /** Milliseconds that a read without a loader may take at most. */
  readonly readLimitMs: number;
  /** The second tier's own bound of a load, in milliseconds. */
  readonly maxLoadMs: number | undefined;
  readonly mayRefuse: boolean;
  /** What happened, as numbers: the same for the same seed. */
  trace(...parts: readonly number[]): void;
}

/** An invalidation that came back, propagated or pending: at rest it must hold, if its process lived on. */
interface Told {
  readonly process: SimulatedProcess;
  readonly versions: ReadonlyMap<string, number>;
}

/** Who writes a key, as under a row lock. */
interface Lock {
  readonly process: SimulatedProcess;
  /** Until when it is kept though its holder has died. */
  readonly keptUntil: number;
}

/** A write that came back, and what it said. */
interface AnsweredWrite {
  readonly name: string;
  readonly begunAt: number;
  readonly isPropagated: boolean;
  readonly isSet: boolean;
}

type Tell = (cache: ReadThroughCache<unknown>, versions: ReadonlyMap<string, number>) => Promise<boolean>;

const TAGS = ["red", "blue"];
const tagOf = (index: number): string => TAGS[index % TAGS.length] as string;

/**
 * Milliseconds for which a lock outlives a process that died with a `set` under way. The set's command may still be on the wire, and is
 * refused once its deadline, the cache's backend budget, is over. A lock given away sooner lets the next writer's invalidation overtake it,
 * and then the dead process's value stands until its time to live is over: a limit of the protocol (docs/coherence.md), found at seed 12063
 * of plan format 3.
 */
const SET_DEADLINE_MS = 51;

/** The application: performs operations as it would, and has the oracle judge what comes back. */
export class Workload {
  readonly #context: WorkloadContext;
  readonly #reads: JudgedReads;
  readonly #loads: Loads;
  readonly #writes: WriteJudge;
  readonly #drops: DropJudge;
  readonly #isCalm: boolean;
  readonly #getTerms: ReadTerms;
  /** Keys that somebody writes: commit and invalidation of one key do not overlap, as under a row lock. */
  readonly #locks: Map<string, Lock> = new Map();
  /** What has not been seen to take effect. */
  #told: Told[] = [];
  #openAtRest = 0;
  /** Who has loaded what at rest, and how much of it was there when it was asked for again. */
  readonly #loadedAtRest: Array<{ readonly process: SimulatedProcess; readonly index: number }> = [];
  #keptAtRest = 0;

  constructor(context: WorkloadContext) {
    this.#context = context;
    const { time, oracle, trace, plan, maxStalenessMs, readLimitMs, maxLoadMs } = context;
    this.#isCalm = isCalmPlan(plan);
    this.#drops = new DropJudge(plan);
    this.#writes = new WriteJudge({ time, limitMs: readLimitMs, violations: oracle.violations });
    this.#reads = new JudgedReads({ time, oracle, trace, drops: this.#drops });
    this.#loads = new Loads({ time, oracle, reads: this.#reads, maxStalenessMs, readLimitMs, maxLoadMs, plan, tagOf });
    this.#getTerms = { what: "get", staleMs: 0, limitMs: readLimitMs, mayFail: () => false };
  }

  /** Reads judged, or begun. */
  get reads(): number {
    return this.#reads.count;
  }

  /** Reads at rest that have not been answered. */
  get openAtRest(): number {
    return this.#openAtRest;
  }

  /** Whether nothing is being written, and all that was told by processes that live has taken effect in Redis. */
  isAllDurable(): boolean {
    if (this.#locks.size > 0) return false;
    // What has taken effect stays so, and the dead never return: neither need be looked at again.
    if (this.#told.length > 0)
      this.#told = this.#told.filter(({ process, versions }) => process.isAlive && !this.#context.oracle.isDurable(versions));
    return this.#told.length === 0;
  }

  perform(operation: Operation): void {
    const process = this.#context.processes[operation.process] as SimulatedProcess;
    if (!process.isServing || process.isPaused) return;
    switch (operation.kind) {
      case "get":
        this.#get(process, operation.key);
        break;
      case "load":
        this.#loads.load(process, operation.key, operation.load);
        break;
      case "delete":
        this.#loads.onDrop(process, keyName(operation.key));
        this.#drop(process, "a delete", [operation.key], () => process.cache.delete(keyName(operation.key)));
        break;
      case "clear":
        this.#loads.onDrop(process, undefined);
        this.#drop(process, "a clear", this.#allKeys, () => process.cache.clear());
        break;
      default:
        this.#write(process, operation);
    }
  }

  /** All is over. */
  finish(): void {
    this.#writes.finish();
  }

  /** Reads every key, as what runs first after a pause does. */
  readAll(process: SimulatedProcess): void {
    if (!process.isServing) return;
    for (let index = 0; index < this.#context.plan.keys; index += 1) this.#get(process, index);
  }

  /** What a process's bus told it to drop. */
  onTold(process: SimulatedProcess, key: string | undefined): void {
    this.#loads.onDrop(process, key);
  }

  /** The locks that a process held are gone with it, at once or when what it sent can no longer take effect. */
  onCrash(process: SimulatedProcess): void {
    const { oracle, time } = this.#context;
    oracle.onCrash(process.index);
    for (const [key, lock] of this.#locks) {
      if (lock.process !== process) continue;
      if (lock.keptUntil > time.now) time.schedule(lock.keptUntil - time.now, () => this.#locks.delete(key));
      else this.#locks.delete(key);
    }
  }

  /** At rest nobody may hold anything older than what was invalidated, and whoever loads gets it. */
  readAtRest(what: "get" | "getOrSet"): void {
    const { oracle, processes, plan } = this.#context;
    for (const { process, versions } of this.#told) if (process.isServing) oracle.expectDurable(versions);
    const read: Read =
      what === "get"
        ? (cache, key) => cache.get(key)
        : (cache, key, index, { asked }) => {
            const load = (): VersionedValue => {
              asked.loaders += 1;
              return oracle.read(key, this.#context.time.now);
            };
            return cache.getOrSet(key, load, { tags: [tagOf(index)] });
          };
    for (const process of processes) {
      if (!process.isServing) continue;
      for (let index = 0; index < plan.keys; index += 1) this.#readAtRest(process, index, what, read);
    }
  }

  /**
   * What was loaded at rest is asked for again, where nothing has gone wrong: a cache that has nothing of all of it keeps nothing. (Of one of them a caller
   * may have asked that it is not kept.)
   */
  readKept(): void {
    if (!this.#isCalm) return;
    for (const { process, index } of this.#loadedAtRest) this.#readAtRest(process, index, "a second get", (cache, key) => cache.get(key));
  }

  /** All that was asked for again has been answered. Where values have a time to live it may be over: who joined an old load waited for longer. */
  judgeKept(): void {
    const count = this.#loadedAtRest.length;
    if (this.#isCalm && this.#context.plan.ttlMs === Infinity && count > 0 && this.#keptAtRest === 0)
      this.#context.oracle.violations.push(`kept nothing of ${count} values that were loaded at rest`);
  }

  #readAtRest(process: SimulatedProcess, index: number, what: string, read: Read): void {
    const { oracle, time } = this.#context;
    const key = keyName(index);
    const ticket: ReadTicket = { process: process.index, key, startedAt: time.now, floor: oracle.durable(key) };
    this.#reads.count += 1;
    process.asked.reads += 1;
    this.#openAtRest += 1;
    void (async () => read(process.cache, key, index, process))().then(
      (value) => {
        this.#openAtRest -= 1;
        if (what === "getOrSet" && value === undefined && process.isWatched)
          oracle.violations.push(`I6 process ${process.index}: ${what} at rest of ${key} gave nothing, as no loader did`);
        if (what === "getOrSet" && process.isWatched) this.#loadedAtRest.push({ process, index });
        if (what === "a second get" && value !== undefined) this.#keptAtRest += 1;
        oracle.finishRead(ticket, value, time.now, `${what} at rest`);
      },
      (error: unknown) => {
        this.#openAtRest -= 1;
        // It may have joined a load that began while there were still faults.
        if (/the database failed/.test(String(error))) return;
        oracle.violations.push(`I7 process ${process.index}: ${what} at rest failed with ${String(error)}`);
      },
    );
  }

  #write(process: SimulatedProcess, operation: Exclude<Operation, { kind: "get" | "load" | "delete" | "clear" }>): void {
    const all = this.#allKeys;
    switch (operation.kind) {
      case "set": {
        const key = keyName(operation.key);
        const set: Tell = async (cache, versions) =>
          cache.set(key, { key, version: versions.get(key) as number, at: this.#context.time.now }, { tags: [tagOf(operation.key)] });
        this.#commit(process, [operation.key], { kind: "key", key }, set, true);
        break;
      }
      case "write": {
        const key = keyName(operation.key);
        this.#commit(process, [operation.key], { kind: "key", key }, async (cache) => (await cache.invalidate(key)).propagated);
        break;
      }
      case "write-tag": {
        const tag = tagOf(operation.key);
        const keys = all.filter((index) => tagOf(index) === tag);
        this.#commit(process, keys, { kind: "tag", tag }, async (cache) => (await cache.invalidateTag(tag)).propagated);
        break;
      }
      case "write-pattern": {
        const pattern = operation.key === undefined ? "k*" : `${keyName(operation.key)}*`;
        const keys = operation.key === undefined ? all : [operation.key];
        this.#commit(process, keys, { kind: "pattern", pattern }, async (cache) => (await cache.invalidateMatching(pattern)).propagated);
        break;
      }
      case "write-all":
        this.#commit(process, all, { kind: "all" }, async (cache) => (await cache.invalidateAll()).propagated);
    }
  }

  /** Commits, then lets the cache know, as an application does. */
  #commit(process: SimulatedProcess, indexes: readonly number[], target: InvalidationTarget, tell: Tell, isSet = false): void {
    const { oracle, time, trace } = this.#context;
    const keys = indexes.map(keyName);
    if (keys.some((key) => this.#locks.has(key))) return;
    const lock: Lock = { process, keptUntil: isSet ? time.now + SET_DEADLINE_MS : 0 };
    for (const key of keys) this.#locks.set(key, lock);
    const versions = oracle.commit(keys);
    const begunAt = time.now;
    const name = callName(process.index, target);
    oracle.onCall(name, versions);
    this.#loads.onDrop(process, target.kind === "key" ? target.key : undefined);
    if (!isSet) process.asked.invalidations += 1;
    this.#writes
      .follow(process, isSet ? "a set" : "an invalidation", () => tell(process.cache, versions))
      .then(
        (isPropagated) => {
          if (!process.isAlive) return;
          this.#unlock(keys);
          trace(process.index, time.now * 1_000, isPropagated ? 1 : 2);
          this.#judgeAnswer(process, { name, begunAt, isPropagated, isSet });
          oracle.onReturn(process.index, name, versions, isPropagated);
          this.#told.push({ process, versions });
        },
        () => {
          if (process.isAlive) this.#unlock(keys);
        },
      );
  }

  /** What the caller is told of the others must be so: it may act by it. In good weather they are told. */
  #judgeAnswer(process: SimulatedProcess, { name, begunAt, isPropagated, isSet }: AnsweredWrite): void {
    const { oracle, plan, mayRefuse } = this.#context;
    // What is told over a bus that nobody watches, or of a tier on another server, is not known here.
    if (!process.isWatched || plan.apart !== undefined) return;
    if (isPropagated && !oracle.wasTold(name, begunAt)) oracle.violations.push(`told process ${name}: propagated, and nobody was told`);
    // A set may be refused for want of room, and all where so little may be in flight that a burst is too much.
    const isPromised = this.#isCalm && !mayRefuse && !isSet;
    if (!isPropagated && isPromised && begunAt >= SETTLED_AT) oracle.violations.push(`told process ${name}: not propagated`);
  }

  #unlock(keys: readonly string[]): void {
    for (const key of keys) this.#locks.delete(key);
  }

  #get(process: SimulatedProcess, index: number): void {
    this.#reads.read(process, index, this.#getTerms, (cache, key) => cache.get(key));
  }

  get #allKeys(): number[] {
    return Array.from({ length: this.#context.plan.keys }, (_, index) => index);
  }

  /** Drops keys in a process's own tiers. */
  #drop(process: SimulatedProcess, what: "a delete" | "a clear", indexes: readonly number[], drop: () => unknown): void {
    const keys = indexes.map(keyName).filter((key) => !this.#locks.has(key));
    const call = this.#drops.begin(process, keys, this.#context.time.now);
    this.#writes.follow(process, what, drop).then(
      () => this.#drops.end(call),
      () => {},
    );
  }
}

/** How the oracle names an invalidation: by whom, of what. */
export function callName(process: number, target: InvalidationTarget): string {
  const subject = target.kind === "key" ? target.key : target.kind === "tag" ? target.tag : target.kind === "pattern" ? target.pattern : "";
  return `${process} ${target.kind} ${subject}`;
}
