import {
  type AbortSignalLike,
  type FencedStore,
  type GetOrSetOptions,
  type InvalidationBus,
  type InvalidationResult,
  type InvalidationTarget,
  type LoadContext,
  type Lookup,
  type MaybePromise,
  type StoredEntry,
  TieredCache,
} from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { isPromise } from "../is-promise.ts";
import { isRetryableStatus, UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { LiveStream } from "./live-stream.ts";
import { PurgeWatch } from "./purge-watch.ts";
import { Refreshes } from "./refreshes.ts";
import { RenderedForms } from "./rendered-forms.ts";
import { StoredAnswer } from "./stored-answer.ts";

/** The name of the answers' cache on the bus and in Redis. */
export const ANSWERS_NAMESPACE = "answers";
/** Bytes of a tag beside its characters. Tags are the caller's, and may be larger than the answer. */
const TAG_BYTES = 32;
/** Largest answer, as bytes, that the shared tier takes. */
export const MAX_SHARED_BYTES = 8 * 1024 * 1024;
/** Bytes of an answer in the shared tier beside those of its size: what describes it may take more, and sealing takes some. */
const SHARED_BYTES_BESIDE = 4_096;
/** Share of the bytes that rendered streams may take. */
const FORMS_SHARE = 0.25;

/**
 * A refusal in the place of an answer. An old answer stands in for one that a provider cannot give (RFC 5861: 500 and above; a limit or a timeout
 * as well), never for one that it will not give: a bad request or a revoked key is the caller's to hear of. The cache takes whatever a
 * load throws for trouble, so a refusal passes through it as a value that is not stored.
 */
class Refusal extends StoredAnswer {
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure) {
    super({ owner: "", model: "", provider: "", createdAt: 0, ttlMs: 1, upstreamMs: 0, format: "json" }, Buffer.alloc(0));
    this.failure = failure;
  }
}

function refuseOrThrow(error: unknown, context: LoadContext<StoredAnswer>): StoredAnswer {
  if (!(error instanceof UpstreamFailure) || isRetryableStatus(error.status)) throw error;
  context.skipStore();
  return new Refusal(error);
}

function orThrowRefusal(answer: StoredAnswer | undefined): StoredAnswer | undefined {
  if (answer instanceof Refusal) throw answer.failure;
  return answer;
}

/** Bytes that an answer takes in memory. */
function sizeOf(key: string, answer: StoredAnswer, tags: readonly string[]): number {
  return tags.reduce((size, tag) => size + TAG_BYTES + tag.length, answer.size + key.length * 2);
}

/** What the answers' cache is made of. */
export interface AnswerCacheOptions {
  /** Answers held in memory at most, integer >= 1. */
  readonly maxEntries: number;
  /** Bytes of answers held in memory at most, integer >= 1. */
  readonly maxBytes: number;
  /** Milliseconds > 0. */
  readonly ttlMs: number;
  /** Where answers are shared with other processes. @default none: memory alone */
  readonly l2?: FencedStore<StoredAnswer> | undefined;
  /** Carries invalidations to and from other processes. @default none: nobody is told */
  readonly bus?: InvalidationBus | undefined;
}

/** What a load of an answer is told, and what it may tell. */
export interface AnswerLoad {
  readonly context: LoadContext<StoredAnswer>;
  /** Hands out the stream that the upstream has begun to answer with: everyone who waits for this answer reads along. */
  startLive(live: LiveStream): void;
  /** Whether an answer can be kept at all, with its key and tags: what is larger than the memory only where it is shared. */
  hasRoomFor(answer: StoredAnswer): boolean;
}

/** Called at once or later with the stream that makes the answer a caller waits for. */
export type OnLive = (live: LiveStream, isJoinedLate: boolean) => void;

/**
 * The cache of answers, with what `TieredCache` does not know of: answers that can be read while they are made.
 *
 * A stream belongs to one load of one key. `TieredCache` decides who shares a load (an invalidation detaches it, and whoever comes later
 * starts another); the load's cancellation names it. So a caller reads along exactly when it would also get that load's value.
 */
export class AnswerCache {
  readonly forms: RenderedForms;
  /** Calls that replace answers which are too old for who asks. */
  readonly refreshes: Refreshes = new Refreshes((key) => this.#cache.loading(key));
  readonly #l1: MemoryCache<StoredEntry<StoredAnswer>>;
  readonly #cache: TieredCache<StoredAnswer>;
  readonly #live = new WeakMap<AbortSignalLike, LiveStream>();
  readonly #waiting = new WeakMap<AbortSignalLike, Set<OnLive>>();
  readonly #watches = new Set<PurgeWatch>();
  readonly #maxBytes: number;
  readonly #isShared: boolean;

  constructor(options: AnswerCacheOptions) {
    const { maxEntries, maxBytes, ttlMs, l2, bus } = options;
    this.forms = new RenderedForms(Math.max(1, Math.floor(maxBytes * FORMS_SHARE)));
    this.#maxBytes = Math.max(1, Math.floor(maxBytes * (1 - FORMS_SHARE)));
    this.#isShared = l2 !== undefined;
    this.#l1 = new MemoryCache({
      name: ANSWERS_NAMESPACE,
      maxEntries,
      maxBytes: this.#maxBytes,
      sizeOf: (entry, key) => sizeOf(key, entry.value, entry.tags),
    });
    this.#cache = new TieredCache<StoredAnswer>({
      l1: this.#l1,
      namespace: ANSWERS_NAMESPACE,
      ttlMs,
      jitter: 0,
      // Answers go on being served while the bus is away, and say so (`detail=degraded`): their time to live bounds them.
      maxStalenessMs: Number.POSITIVE_INFINITY,
      ...(l2 ? { l2 } : {}),
      ...(bus ? { bus } : {}),
    });
  }

  /** The stored answer, else what `load` makes. At once when it is in memory. */
  getOrLoad(
    key: string,
    load: (load: AnswerLoad) => Promise<StoredAnswer>,
    options: GetOrSetOptions,
  ): MaybePromise<StoredAnswer | undefined> {
    const run = (context: LoadContext<StoredAnswer>): Promise<StoredAnswer> =>
      load({
        context,
        startLive: (live) => this.#start(context.cancellation, live),
        hasRoomFor: (answer) => sizeOf(key, answer, options.tags ?? []) <= this.#maxBytes || this.#isForTheShared(answer),
      });
    if (!options.staleIfErrorMs) return this.#cache.getOrSet(key, run, options);
    const answer = this.#cache.getOrSet(key, (context) => run(context).catch((error: unknown) => refuseOrThrow(error, context)), options);
    return isPromise(answer) ? answer.then(orThrowRefusal) : answer;
  }

  /** Reads along with the load that a `getOrLoad` of this key has just joined or begun. @returns a function that stops waiting */
  attach(key: string, onLive: OnLive): () => void {
    const load = this.#cache.loading(key);
    if (!load) return () => undefined;
    const live = this.#live.get(load);
    if (live?.isJoinable) {
      onLive(live, true);
      return () => undefined;
    }
    // By the load and not by the key: after an invalidation another load of the same key may begin to stream first, and end with its own callers.
    const waiting = this.#waiting.get(load) ?? new Set();
    this.#waiting.set(load, waiting.add(onLive));
    return () => {
      waiting.delete(onLive);
    };
  }

  /** Whether a `getOrLoad` of this key would share a load that runs already. */
  isLoading(key: string): boolean {
    return this.#cache.loading(key) !== undefined;
  }

  /** Whether what a load that runs has made would be kept: one that was invalidated meanwhile keeps nothing. */
  isCurrent(key: string, { context }: AnswerLoad): boolean {
    return this.#cache.loading(key) === context.cancellation;
  }

  /** Whether an answer that has just been made is kept: one that was invalidated while it was made is not. */
  keeps(key: string, answer: StoredAnswer): boolean {
    return this.#l1.has(key) || (answer.size > this.#maxBytes && this.#isForTheShared(answer));
  }

  #isForTheShared(answer: StoredAnswer): boolean {
    return this.#isShared && answer.size + SHARED_BYTES_BESIDE <= MAX_SHARED_BYTES;
  }

  lookup(key: string): MaybePromise<Lookup<StoredAnswer>> {
    return this.#cache.lookup(key);
  }

  /** Stores an answer from elsewhere: an import. */
  set(key: string, answer: StoredAnswer, options: { readonly ttlMs: number; readonly tags: readonly string[] }): MaybePromise<boolean> {
    return this.#cache.set(key, answer, options);
  }

  /** Stores an answer from elsewhere in this process alone, as a load would. */
  async fill(key: string, answer: StoredAnswer, options: { readonly ttlMs: number; readonly tags: readonly string[] }): Promise<boolean> {
    return (await this.#cache.getOrSet(key, () => answer, { ...options, forceRefresh: true })) === answer;
  }

  /**
   * The live answers in memory, each looked at as a reader would: what was invalidated is not among them.
   * @param keys which ones; all when left out
   */
  *entries(keys?: readonly string[]): Generator<{ readonly key: string; readonly answer: StoredAnswer; readonly tags: readonly string[] }> {
    const found = keys ? keys.map((key) => [key, this.#l1.get(key)] as const) : [...this.#l1.entries()];
    for (const [key, value] of found) {
      if (!value) continue;
      const live = this.#cache.get(key);
      // A second tier may be asked for what memory no longer vouches for; an export does not wait for it.
      if (isPromise(live)) live.catch(() => undefined);
      else if (live === value.value) yield { key, answer: live, tags: value.tags };
    }
  }

  /** Watches what is dropped from now on, here or by other processes, until it is closed. */
  watchPurges(): PurgeWatch {
    const watch = new PurgeWatch(ANSWERS_NAMESPACE, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  invalidate(key: string): Promise<InvalidationResult> {
    this.#note({ kind: "key", key });
    return this.#cache.invalidate(key);
  }

  invalidateTag(tag: string): Promise<InvalidationResult> {
    this.#note({ kind: "tag", tag });
    return this.#cache.invalidateTag(tag);
  }

  invalidateMatching(pattern: string): Promise<InvalidationResult> {
    this.#note({ kind: "pattern", pattern });
    return this.#cache.invalidateMatching(pattern);
  }

  invalidateAll(): Promise<InvalidationResult> {
    this.#note({ kind: "all" });
    return this.#cache.invalidateAll();
  }

  /** Whether invalidations by peers may be missed now. */
  get isDegraded(): boolean {
    return this.#cache.isDegraded;
  }

  stats(): ReturnType<TieredCache<StoredAnswer>["stats"]> {
    return this.#cache.stats();
  }

  close(): Promise<void> {
    return this.#cache.close();
  }

  /** Before it takes effect: what is stored after this moment must know of it. */
  #note(target: InvalidationTarget): void {
    for (const watch of this.#watches) watch.note(target);
  }

  #start(load: AbortSignalLike, live: LiveStream): void {
    this.#live.set(load, live);
    const waiting = this.#waiting.get(load);
    this.#waiting.delete(load);
    for (const onLive of waiting ?? []) onLive(live, false);
  }
}
