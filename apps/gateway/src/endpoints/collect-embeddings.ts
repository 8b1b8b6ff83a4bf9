import type { AbortSignalLike } from "@larder/cache-core";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import { ReadOptions } from "../caching/read-options.ts";
import type { PlannedTarget } from "../caching/request-plan.ts";
import type { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { HttpError } from "../http/http-error.ts";
import { isPromise } from "../is-promise.ts";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import { computeEmbeddings, type EmbeddingsRequest } from "./compute-embeddings.ts";
import { ItemBatch } from "./item-batch.ts";

/** An item's numbers and where they came from: stored, stored and past their time, another request's call, or this request's own. */
export interface Item {
  readonly answer: StoredAnswer;
  readonly origin: "stored" | "stale" | "shared" | "computed";
  /** Whether it was computed in place of a stored one that would not do. */
  readonly isRefreshed: boolean;
}

/** The items of a request in the order of its inputs, computed where nothing that is stored will do. @throws {UpstreamFailure} */
export function collectEmbeddings(parts: GatewayParts, request: EmbeddingsRequest, target: PlannedTarget): Promise<Item[]> {
  const { controls } = request;
  const isStoring = controls.isWrite && !controls.onlyIfCached;
  return isStoring ? new StoringCollection(parts, request, target).collect() : collectUnstored(parts, request, target);
}

/** What refused several items at once: it may be the fault of one of them, or of how many they were. */
const refusedTogether = new WeakSet<UpstreamFailure>();

/** Somebody else's call was refused with an item of ours in it: what is wrong with that call need not be wrong with ours. @throws any other error */
function orOwn(error: unknown): "own" {
  if (error instanceof UpstreamFailure && !error.isRetryable && refusedTogether.has(error)) return "own";
  throw error;
}

/** The items of one request, each read and stored by itself, and computed together as far as they are missing. */
class StoringCollection {
  readonly #parts: GatewayParts;
  readonly #request: EmbeddingsRequest;
  readonly #target: PlannedTarget;
  /** Where each item stands first: equal ones are computed once. */
  readonly #positions = new Map<string, number>();
  readonly #batch: ItemBatch<StoredAnswer>;
  /** Whether what was computed must not be kept. */
  #isPartial = false;

  constructor(parts: GatewayParts, request: EmbeddingsRequest, target: PlannedTarget) {
    this.#parts = parts;
    this.#request = request;
    this.#target = target;
    for (const [position, key] of target.itemKeys.entries()) if (!this.#positions.has(key)) this.#positions.set(key, position);
    this.#batch = new ItemBatch<StoredAnswer>(this.#positions.size, (positions, cancellation) => this.#compute(positions, cancellation));
  }

  async #compute(positions: readonly number[], cancellation: AbortSignalLike): Promise<readonly StoredAnswer[]> {
    const onPartial = (): void => {
      this.#isPartial = true;
    };
    try {
      return await computeEmbeddings(this.#parts, this.#request, this.#target, positions, cancellation, onPartial);
    } catch (error) {
      if (positions.length > 1 && error instanceof UpstreamFailure) refusedTogether.add(error);
      throw error;
    }
  }

  collect(): Promise<Item[]> {
    const items = new Map<string, Promise<Item>>();
    for (const [key, position] of this.#positions) items.set(key, this.#item(key, position, this.#decideOnce()));
    return Promise.all(this.#target.itemKeys.map((key) => items.get(key) as Promise<Item>));
  }

  /** The batch waits until each item is known to be missing or not. */
  #decideOnce(): () => void {
    let isDecided = false;
    return () => {
      if (!isDecided) this.#batch.decide();
      isDecided = true;
    };
  }

  /** @param isRefused whether what is stored has been found to be somebody else's */
  async #item(key: string, position: number, decide: () => void, isRefused = false): Promise<Item> {
    const { answers } = this.#parts;
    const { controls, identity, departure } = this.#request;
    const { maxAgeMs } = controls;
    const isTooOld = !isRefused && controls.isRead && maxAgeMs !== undefined && (await this.#isOlder(key, maxAgeMs));
    const isForced = isRefused || !controls.isRead || isTooOld;
    let computed: StoredAnswer | undefined;
    const load = async ({ context }: AnswerLoad): Promise<StoredAnswer> => {
      const wanted = this.#batch.want(position, context.cancellation);
      decide();
      computed = await wanted;
      if (this.#isPartial) context.skipStore();
      return computed;
    };
    const start = async (signal: AbortSignalLike) => answers.getOrLoad(key, load, this.#options(isForced, signal));
    // What others add to their answers is no part of ours.
    const isShared = isTooOld && controls.tags.length === 0;
    const refresh = isShared ? answers.refreshes.join(key, maxAgeMs, departure, start) : undefined;
    const wasLoading = refresh ? refresh.isJoined : !isForced && answers.isLoading(key);
    const read = refresh?.answer ?? answers.getOrLoad(key, load, this.#options(isForced, departure));
    // Somebody else is computing it: nothing of ours has to wait for that.
    if (wasLoading || !isPromise(read)) decide();
    const answer = await (wasLoading && isPromise(read) ? read.catch((error) => orOwn(error)) : read);
    decide();
    if (answer === "own") return this.#item(key, position, decide, isRefused);
    if (answer?.meta.owner !== identity.tenant) {
      if (isForced) throw new UpstreamFailure("The stored answer could not be used.", { status: 502 });
      // Somebody else's is none: another is computed in its place.
      return this.#item(key, position, decide, true);
    }
    if (answer === computed) return { answer, origin: "computed", isRefreshed: isForced };
    if (answer.isPastItsTime) return { answer, origin: "stale", isRefreshed: false };
    return { answer, origin: wasLoading && isPromise(read) ? "shared" : "stored", isRefreshed: false };
  }

  async #isOlder(key: string, maxAgeMs: number): Promise<boolean> {
    const found = await this.#parts.answers.lookup(key);
    return found.status !== "miss" && found.value.ageMs > maxAgeMs;
  }

  #options(isForced: boolean, signal: AbortSignalLike): ReadOptions {
    const { plan, controls, ttlMs } = this.#request;
    const { settings } = this.#parts;
    return new ReadOptions(
      {
        ttlMs,
        staleWhileRevalidateMs: plan.route?.staleWhileRevalidate ?? settings.staleWhileRevalidate,
        staleIfErrorMs: plan.route?.staleIfError ?? settings.staleIfError,
        tags: [...this.#target.tags, ...controls.tags.map((tag) => `tag:${tag}`)],
        isStream: false,
        isForced,
      },
      signal,
    );
  }
}

/** What may be read, and the rest computed without a trace in the cache; or, when the caller wants nothing else, not at all. */
async function collectUnstored(parts: GatewayParts, request: EmbeddingsRequest, target: PlannedTarget): Promise<Item[]> {
  const { controls, identity, departure } = request;
  const { maxAgeMs = Number.POSITIVE_INFINITY } = controls;
  const stored = await Promise.all(
    target.itemKeys.map(async (key) => {
      const found = controls.isRead ? await parts.answers.lookup(key) : undefined;
      if (found?.status !== "hit" || found.value.meta.owner !== identity.tenant) return undefined;
      return found.value.ageMs <= maxAgeMs ? found.value : undefined;
    }),
  );
  const missing = stored.flatMap((answer, position) => (answer ? [] : [position]));
  if (missing.length > 0 && controls.onlyIfCached)
    throw new HttpError(504, "Not every input has a stored answer.", {
      code: "only_if_cached",
      headers: { "x-larder-cache": "MISS", "cache-status": "larder; fwd=miss" },
    });
  const computed = missing.length > 0 ? await computeEmbeddings(parts, request, target, missing, departure.watched()) : [];
  const made = new Map(missing.map((position, index) => [position, computed[index] as StoredAnswer]));
  return stored.map((answer, position) =>
    answer
      ? { answer, origin: "stored", isRefreshed: false }
      : { answer: made.get(position) as StoredAnswer, origin: "computed", isRefreshed: false },
  );
}
