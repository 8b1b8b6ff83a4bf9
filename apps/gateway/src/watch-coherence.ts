import type { CoherenceWatcher } from "@larder/pubsub-invalidation/watcher";
import { ANSWERS_NAMESPACE, type AnswerCache } from "./caching/answer-cache.ts";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { Settings } from "./config/schema.ts";
import type { SharedTier } from "./shared-tier.ts";
import type { Log } from "./telemetry/log.ts";

/** Asks the other processes whether invalidations have arrived; `undefined` where nobody wants that, or there are no others. */
export async function watchCoherence(
  { coherenceSampleRate: sampleRate }: Settings,
  { openWatcherPort }: SharedTier,
  cache: AnswerCache,
  log: Log,
): Promise<CoherenceWatcher<StoredAnswer> | undefined> {
  if (sampleRate === 0 || !openWatcherPort) return undefined;
  const { CoherenceWatcher } = await import("@larder/pubsub-invalidation/watcher");
  return new CoherenceWatcher({
    cache,
    namespace: ANSWERS_NAMESPACE,
    port: await openWatcherPort(),
    sampleRate,
    onInconsistent: ({ key, peer, afterMs }) => log.error({ key, peer, afterMs }, "another process holds what was invalidated"),
  });
}
