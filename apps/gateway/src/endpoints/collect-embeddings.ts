import { ReadOptions } from "../caching/read-options.ts";
import type { PlannedTarget } from "../caching/request-plan.ts";
import type { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { HttpError } from "../http/http-error.ts";
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
  return controls.isWrite && !controls.onlyIfCached ? collectAndStore(parts, request, target) : collectUnstored(parts, request, target);
}

async function collectAndStore(parts: GatewayParts, request: EmbeddingsRequest, target: PlannedTarget): Promise<Item[]> {
  const first = new Map<string, number>();
  for (const [position, key] of target.itemKeys.entries()) if (!first.has(key)) first.set(key, position);
  const batch = new ItemBatch<StoredAnswer>(first.size, (positions, cancellation) =>
    computeEmbeddings(parts, request, target, positions, cancellation),
  );
  const found = new Map<string, Promise<Item>>();
  for (const [key, position] of first) found.set(key, collectItem(parts, request, target, key, position, batch));
  return Promise.all(target.itemKeys.map((key) => found.get(key) as Promise<Item>));
}

async function collectItem(
  parts: GatewayParts,
  request: EmbeddingsRequest,
  target: PlannedTarget,
  key: string,
  position: number,
  batch: ItemBatch<StoredAnswer>,
): Promise<Item> {
  const { answers, settings } = parts;
  const { controls, plan, identity, ttlMs, departure } = request;
  let isDecided = false;
  const decide = (): void => {
    if (!isDecided) batch.decide();
    isDecided = true;
  };
  const isTooOld = controls.isRead && controls.maxAgeMs !== undefined && (await isOlder(answers.lookup(key), controls.maxAgeMs));
  const isForced = isTooOld || !controls.isRead;
  const wasLoading = !isForced && answers.isLoading(key);
  let computed: StoredAnswer | undefined;
  const read = answers.getOrLoad(
    key,
    async ({ context }) => {
      const wanted = batch.want(position, context.cancellation);
      decide();
      computed = await wanted;
      return computed;
    },
    new ReadOptions(
      {
        ttlMs,
        staleWhileRevalidateMs: plan.route?.staleWhileRevalidate ?? settings.staleWhileRevalidate,
        staleIfErrorMs: plan.route?.staleIfError ?? settings.staleIfError,
        tags: [...target.tags, ...controls.tags.map((tag) => `tag:${tag}`)],
        isStream: false,
        isForced,
      },
      departure,
    ),
  );
  // Somebody else is computing it: nothing of ours has to wait for that.
  if (wasLoading || !(read instanceof Promise)) decide();
  const answer = await read;
  decide();
  if (!answer || answer.meta.owner !== identity.tenant) {
    if (isForced) throw new UpstreamFailure("The stored answer could not be used.", { status: 502 });
    // Somebody else's is none: another is computed in its place.
    return collectItem(parts, { ...request, controls: { ...controls, isRead: false } }, target, key, position, batch);
  }
  if (answer === computed) return { answer, origin: "computed", isRefreshed: isForced };
  if (isPastItsTime(answer)) return { answer, origin: "stale", isRefreshed: false };
  return { answer, origin: wasLoading && read instanceof Promise ? "shared" : "stored", isRefreshed: false };
}

async function isOlder(lookup: ReturnType<GatewayParts["answers"]["lookup"]>, maxAgeMs: number): Promise<boolean> {
  const found = await lookup;
  return found.status !== "miss" && found.value.ageMs > maxAgeMs;
}

function isPastItsTime({ ageMs, meta }: StoredAnswer): boolean {
  return ageMs > meta.ttlMs;
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
