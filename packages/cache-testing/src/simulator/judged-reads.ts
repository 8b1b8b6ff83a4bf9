import type { ReadThroughCache } from "@larder/cache-core";
import type { CoherenceOracle, VersionedValue } from "./coherence-oracle.ts";
import type { DropJudge } from "./drop-judge.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The name of a schedule's nth key. */
export const keyName = (index: number): string => `k${index}`;

/** How a read is made. */
export type Read = (cache: ReadThroughCache<unknown>, key: string, index: number, process: SimulatedProcess) => unknown;

/** What a read is held to. */
export interface ReadTerms {
  readonly what: "get" | "getOrSet";
  /** Milliseconds past its time to live for which it takes a value. */
  readonly staleMs: number;
  /** Milliseconds that it may take at most; `Infinity` = as long as its load. */
  readonly limitMs: number;
  /** Whether it may fail with an error, after so many milliseconds. */
  readonly mayFail: (error: string, tookMs: number) => boolean;
  /** What else is wrong with what it gives. @default nothing */
  readonly isWrong?: (value: unknown, startedAt: number) => string | undefined;
}

/** What the reads of a schedule share. */
export interface JudgedReadsContext {
  readonly time: VirtualTime;
  readonly oracle: CoherenceOracle;
  readonly drops: DropJudge;
  trace(...parts: readonly number[]): void;
}

/** Reads, and has judged what comes back: by the oracle, and by how long it took and how it failed (I7, I20). */
export class JudgedReads {
  readonly #context: JudgedReadsContext;
  /** Reads judged, or begun. */
  count = 0;

  constructor(context: JudgedReadsContext) {
    this.#context = context;
  }

  read(process: SimulatedProcess, index: number, terms: ReadTerms, read: Read): void {
    const { oracle, time, trace, drops } = this.#context;
    const ticket = oracle.startRead(process.index, keyName(index), time.now);
    const droppedAt = drops.floorOf(process, keyName(index));
    this.count += 1;
    process.asked.reads += 1;
    const finish = (value: unknown): void => {
      if (!process.isAlive) return;
      trace(process.index, index, time.now * 1_000, value === undefined ? -1 : ((value as VersionedValue | null)?.version ?? -2));
      this.#judgeTime(process, terms, time.now - ticket.startedAt);
      oracle.finishRead(ticket, value, time.now, terms.what, terms.staleMs);
      const problem = drops.judge(process, droppedAt, value) ?? terms.isWrong?.(value, ticket.startedAt);
      if (problem !== undefined) oracle.violations.push(problem);
      if (terms.what === "get" && value !== undefined) process.asked.found += 1;
    };
    const fail = (error: unknown): void => {
      const tookMs = time.now - ticket.startedAt;
      if (!process.isAlive) return;
      this.#judgeTime(process, terms, tookMs);
      if (terms.mayFail(String(error), tookMs)) return;
      if (process.isClosing && String(error).includes("ERR_CACHE_CLOSED")) return;
      oracle.violations.push(`I7 process ${process.index}: ${terms.what} failed with ${String(error)} after ${tookMs.toFixed(1)} ms`);
    };
    try {
      const answer = read(process.cache, keyName(index), index, process);
      if (!(answer instanceof Promise)) finish(answer);
      else if (terms.what === "get") this.#awaitGet(process, answer, finish, fail);
      else answer.then(finish, fail);
    } catch (error) {
      fail(error);
    }
  }

  #awaitGet({ asked }: SimulatedProcess, answer: Promise<unknown>, finish: (value: unknown) => void, fail: (error: unknown) => void): void {
    asked.open += 1;
    answer.then(
      (value) => {
        asked.open -= 1;
        finish(value);
      },
      (error: unknown) => {
        asked.open -= 1;
        fail(error);
      },
    );
  }

  #judgeTime(process: SimulatedProcess, { what, limitMs }: ReadTerms, tookMs: number): void {
    if (tookMs <= limitMs || process.wasPaused) return;
    this.#context.oracle.violations.push(`I7 process ${process.index}: a ${what} took ${tookMs.toFixed(1)} ms`);
  }
}
