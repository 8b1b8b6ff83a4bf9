import type { GetOrSetOptions, LoadContext } from "@larder/cache-core";
import type { CoherenceOracle, VersionedValue } from "./coherence-oracle.ts";
import { FleetJudge } from "./fleet-judge.ts";
import { type JudgedReads, keyName } from "./judged-reads.ts";
import { type CalledLoader, LoadJudge } from "./load-judge.ts";
import type { LoadPlan } from "./operation-plan.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What the loads of a schedule share. */
export interface LoadsContext {
  readonly time: VirtualTime;
  readonly oracle: CoherenceOracle;
  readonly reads: JudgedReads;
  readonly maxStalenessMs: number;
  /** Milliseconds that the tiers may take before a loader is called. */
  readonly readLimitMs: number;
  readonly maxLoadMs: number | undefined;
  readonly plan: SchedulePlan;
  /** The tag of the nth key. */
  readonly tagOf: (index: number) => string;
}

/** Milliseconds by which a caller's own timeout may be late: none, but for rounding. */
const PUNCTUAL_MS = 0.001;

/** Why callers abort. Left out, each would be given a `DOMException` of its own. */
const GIVEN_UP = new Error("the caller gave up");

/** @returns what is wrong with an answer, beside what every read is held to; `undefined` = nothing */
function wrongAnswer(process: SimulatedProcess, index: number, plan: LoadPlan, value: unknown, startedAt: number): string | undefined {
  if (!process.isWatched) return undefined;
  const where = `process ${process.index}: a getOrSet of ${keyName(index)} from ${startedAt.toFixed(3)}`;
  // Every loader of a schedule gives a value or fails, and whoever waits for it gets the one or the other (I6).
  if (value === undefined) return `I6 ${where} gave nothing, as no loader did`;
  const { at = Infinity } = (value ?? {}) as Partial<VersionedValue>;
  const isStaleTaken = plan.staleIfErrorMs + plan.staleWhileRevalidateMs > 0;
  if (plan.forceRefresh && !isStaleTaken && at < startedAt) return `forced ${where} gave what was made at ${at.toFixed(3)}`;
  return undefined;
}

/** The `getOrSet` calls of a schedule: their options, their loaders, and what both are held to. */
export class Loads {
  readonly #context: LoadsContext;
  readonly #judge: LoadJudge;
  readonly #fleetJudge: FleetJudge;

  constructor(context: LoadsContext) {
    this.#context = context;
    this.#judge = new LoadJudge(context.maxStalenessMs);
    this.#fleetJudge = new FleetJudge(context.plan, context.maxLoadMs);
  }

  /** A process drops a key, or several: loads begun before and after need not be one. */
  onDrop(process: SimulatedProcess, key: string | undefined): void {
    const { now } = this.#context.time;
    this.#judge.onDrop(process, key, now);
    this.#fleetJudge.disturb(key, now);
  }

  load(process: SimulatedProcess, index: number, plan: LoadPlan): void {
    const { reads, time } = this.#context;
    const askedAt = time.now;
    const aborter = plan.abortAfterMs === undefined ? undefined : new AbortController();
    if (aborter) process.runLater(plan.abortAfterMs as number, () => aborter.abort(GIVEN_UP));
    if (plan.forceRefresh) this.onDrop(process, keyName(index));
    const options = this.#optionsOf(index, plan, aborter);
    const { timeoutMs = Infinity, abortAfterMs = Infinity, staleIfErrorMs, staleWhileRevalidateMs } = plan;
    const leavesAfterMs = Math.min(timeoutMs, abortAfterMs);
    if (leavesAfterMs < Infinity) this.#fleetJudge.disturb(keyName(index), askedAt + leavesAfterMs);
    const terms = {
      what: "getOrSet" as const,
      staleMs: Math.max(staleIfErrorMs, staleWhileRevalidateMs),
      // A design that does not say what it is told knows no timeouts either.
      limitMs: process.isWatched ? leavesAfterMs + PUNCTUAL_MS : Infinity,
      isWrong: (value: unknown, startedAt: number) => wrongAnswer(process, index, plan, value, startedAt),
      // Only its own signal and its own patience end a caller's wait: another's never do (I20). A load may fail for all who share it.
      mayFail: (error: string, tookMs: number) =>
        error.includes("the database failed") ||
        (error.includes("ERR_CACHE_ABORTED") && tookMs >= abortAfterMs - PUNCTUAL_MS) ||
        (error.includes("ERR_CACHE_TIMEOUT") && tookMs >= timeoutMs - PUNCTUAL_MS),
    };
    reads.read(process, index, terms, (cache, key) =>
      cache.getOrSet(
        key,
        (context) => this.#fromDatabase({ process, key, askedAt, cancellation: context.cancellation }, context, plan),
        options,
      ),
    );
  }

  #optionsOf(index: number, plan: LoadPlan, aborter: AbortController | undefined): GetOrSetOptions {
    const { singleFlight, forceRefresh, staleWhileRevalidateMs, staleIfErrorMs, softTimeoutMs, timeoutMs } = plan;
    return {
      tags: [this.#context.tagOf(index)],
      singleFlight,
      forceRefresh,
      staleWhileRevalidateMs,
      staleIfErrorMs,
      ...(softTimeoutMs === undefined ? {} : { softTimeoutMs }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(aborter ? { signal: aborter.signal } : {}),
    };
  }

  /** The database is asked at once, reads after a while, and answers some time after that, when the process can hear it. */
  #fromDatabase(called: CalledLoader, context: LoadContext<unknown>, plan: LoadPlan): Promise<VersionedValue> {
    const { oracle, time } = this.#context;
    const { process, key } = called;
    process.asked.loaders += 1;
    if (context.reason === "miss" || context.reason === "forced") process.asked.missed += 1;
    const isLeased = plan.singleFlight === "fleet" && !plan.forceRefresh;
    const problem = this.#judge.begin(called, time.now) ?? (isLeased ? this.#fleetJudge.begin(called, time.now) : undefined);
    if (problem !== undefined) oracle.violations.push(problem);
    if (!isLeased) this.#judgeDelay(called, context.reason);
    return new Promise((resolve, reject) => {
      time.schedule(plan.readAfterMs, () => {
        const { version } = oracle.read(key, time.now);
        process.runLater(plan.answerAfterMs, () => {
          this.#judge.end(called);
          this.#fleetJudge.end(called, time.now);
          if (plan.fails) this.#fleetJudge.disturb(key, time.now);
          this.#judgeStale(called, context.stale);
          if (plan.fails) process.asked.failed += 1;
          if (plan.fails) reject(new Error("the database failed"));
          else resolve({ key, version, at: time.now });
        });
      });
    });
  }

  /** Whoever waits for a load, and for no other process's, has its loader called as soon as the tiers have had their time (I7). */
  #judgeDelay({ process, key, askedAt }: CalledLoader, reason: LoadContext<unknown>["reason"]): void {
    const { oracle, time, readLimitMs } = this.#context;
    const tookMs = time.now - askedAt;
    const isAwaited = reason === "miss" || reason === "forced";
    if (!isAwaited || tookMs <= readLimitMs || !process.isWatched || process.wasPaused) return;
    oracle.violations.push(`I7 process ${process.index}: a loader of ${key} was called after ${tookMs.toFixed(1)} ms`);
  }

  /** The stale value that a loader is given is served like any other, unless nobody wants to know what the loader makes of it. */
  #judgeStale({ process, key, cancellation }: CalledLoader, stale: unknown): void {
    if (stale === undefined || cancellation.aborted) return;
    const { oracle, time } = this.#context;
    oracle.finishRead(oracle.startRead(process.index, key, time.now), stale, time.now, "the loader's stale value", Infinity);
  }
}
