import { wordOf } from "./backend-error.ts";

/** Counters of a bus while they are counted: integers >= 0, but for the last one. */
export interface BusCounters {
  /** Invalidations learnt that were new and by others: at a place that was not taken. */
  messages: number;
  /** Invalidations heard that were our own. */
  ownEchoes: number;
  /** Invalidations heard at a place that was taken already. They are obeyed all the same, which costs a miss. */
  duplicates: number;
  /** Messages that could not be read, were not signed as they should be, or named nothing known. */
  malformed: number;
  /** Times when a message or heartbeat showed that one before it was missing, or might be: after a reconnect. */
  gaps: number;
  /** Gaps closed from the log. */
  replays: number;
  /** Invalidations learnt from the log that had not been heard. */
  replayed: number;
  /** Times when everything held was dropped; the first synchronisation of each lane is not counted. */
  resets: number;
  /** Times when more messages came than are kept waiting. */
  overflows: number;
  /** Heartbeats sent. */
  heartbeats: number;
  /** Heartbeats that proved that nothing was missed. */
  proofs: number;
  /** Times when the subscription was acknowledged: connections made. */
  subscriptions: number;
  /** Calls and connections that failed. */
  errors: number;
  /** The code word of the last error that had one, as `WRONGPASS`, `ECONNREFUSED` or `ERR_CACHE_TIMEOUT`; it stays when things go well again. `undefined` before the first. */
  lastError: string | undefined;
}

/** What a bus did and how it is: a snapshot, which later events do not change. */
export interface BusStats extends Readonly<BusCounters> {
  /** Whether the subscription stands. Says little by itself: a dead connection may look alive. `lastProofAgeMs` is the judge. */
  readonly isConnected: boolean;
  /** Milliseconds since the last instant up to which nothing was missed, over all lanes; `Infinity` before the first. */
  readonly lastProofAgeMs: number;
  /** Redis time minus this machine's wall clock in milliseconds, right to half a round trip; `undefined` before the first answer. */
  readonly redisTimeOffsetMs: number | undefined;
}

/** Counters at zero. */
export function createBusCounters(): BusCounters {
  return {
    messages: 0,
    ownEchoes: 0,
    duplicates: 0,
    malformed: 0,
    gaps: 0,
    replays: 0,
    replayed: 0,
    resets: 0,
    overflows: 0,
    heartbeats: 0,
    proofs: 0,
    subscriptions: 0,
    errors: 0,
    lastError: undefined,
  };
}

/** Counts what failed. */
export function countError(counters: BusCounters, error: unknown): void {
  counters.errors += 1;
  const word = wordOf(error);
  // That there is no connection is known; why there is none was told before.
  if (word !== undefined && word !== "ERR_CACHE_BACKEND") counters.lastError = word;
}
