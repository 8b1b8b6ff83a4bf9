import { checkCount, type InvalidationResult, type InvalidationTarget, type ReadThroughCache } from "@larder/cache-core";

/*
 * What no protocol survives: the process dies between its commit and `invalidate`. Nobody was told, and nobody can know. So what is to be
 * invalidated is written into the database in the same transaction as the change, and sent from there: by the process that committed, at
 * once, and by any process every few seconds, in case that one died.
 *
 * It is sent at least once, in no order. Both are harmless: an invalidation that comes late or twice costs a miss. It must never be removed
 * before it was propagated, and that is all there is to get right: a row that two processes send at one time is removed by both.
 */

/** An invalidation that was committed and may not have been sent. */
export interface OutboxRow<Id> {
  /** What the table calls it. */
  readonly id: Id;
  /** What is to be dropped: what the cache's `invalidate`, `invalidateTag`, `invalidateMatching` or `invalidateAll` would be given. */
  readonly target: InvalidationTarget;
}

/** A table of invalidations, written in the same transactions as the changes that they are for. */
export interface Outbox<Id = number> {
  /** The oldest rows, `limit` at most. Those that another process is sending may be left out (`FOR UPDATE SKIP LOCKED`), and need not be. */
  next(limit: number): Promise<ReadonlyArray<OutboxRow<Id>>>;
  /** Deletes rows; those that are gone already are no error. */
  remove(ids: readonly Id[]): Promise<void>;
}

/** How an outbox is sent. */
export interface SendOutboxOptions {
  /** Rows read and sent at one time. Integer >= 1. @default 100 */
  readonly batchSize?: number;
}

/** The part of a cache that sends. */
type Invalidating = Pick<ReadThroughCache<unknown>, "invalidate" | "invalidateTag" | "invalidateMatching" | "invalidateAll">;

const isPropagated = (answer: PromiseSettledResult<InvalidationResult> | undefined): boolean =>
  answer?.status === "fulfilled" && answer.value.propagated;

async function send(cache: Invalidating, target: InvalidationTarget): Promise<InvalidationResult> {
  if (target.kind === "key") return cache.invalidate(target.key);
  if (target.kind === "tag") return cache.invalidateTag(target.tag);
  return target.kind === "pattern" ? cache.invalidateMatching(target.pattern) : cache.invalidateAll();
}

/**
 * Sends what is in an outbox, until it is empty or something could not be propagated, which then stays in the table and outlives this
 * process. Call it after each commit, and every few seconds in one process or all: sending twice is harmless.
 * @returns how many rows were sent and removed
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when `batchSize` is out of range, or when a row names what cannot be invalidated (an empty tag), which
 * stays, while those beside it are sent and removed; whatever the table or a closed cache throws
 */
export async function sendOutbox<Id>(
  outbox: Outbox<Id>,
  cache: Invalidating,
  { batchSize = 100 }: SendOutboxOptions = {},
): Promise<number> {
  checkCount("batchSize", batchSize);
  let sent = 0;
  for (;;) {
    const rows = await outbox.next(batchSize);
    const answers = await Promise.allSettled(rows.map(({ target }) => send(cache, target)));
    const propagated = rows.filter((_, index) => isPropagated(answers[index])).map(({ id }) => id);
    if (propagated.length > 0) await outbox.remove(propagated);
    sent += propagated.length;
    // A row that no cache takes must not keep the others in the table: they would be sent again at every call, and what comes behind them never.
    const refused = answers.find((answer) => answer.status === "rejected");
    if (refused) throw refused.reason;
    if (rows.length < batchSize || propagated.length < rows.length) return sent;
  }
}
