import { openClient, RedisCache, type ValueCodec } from "@larder/cache-redis";
import { createSealing, type SealingKey } from "@larder/cache-redis/sealing";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { type BodySigner, createBodySigner } from "@larder/pubsub-invalidation/signer";
import { ANSWERS_NAMESPACE, MAX_SHARED_BYTES } from "./caching/answer-cache.ts";
import { NOTES_TTL_MS } from "./caching/response-book.ts";
import { StoredAnswer } from "./caching/stored-answer.ts";
import type { Settings } from "./config/schema.ts";
import { deriveKey } from "./security/derive-key.ts";
import { keyIdOf, type MasterKeys } from "./security/sealer.ts";
import { createSharedCounter } from "./security/shared-counter.ts";
import type { SharedTier } from "./shared-tier.ts";
import type { Log } from "./telemetry/log.ts";
import { logRedis } from "./telemetry/log-redis.ts";

/** Answers as bytes. 16 is the first id that is not larder's own. */
const answerCodec: ValueCodec<StoredAnswer> = {
  id: 16,
  encode: (answer) => answer.encode(),
  decode: (bytes) => StoredAnswer.decode(bytes),
};

/** Lanes on a cluster: parts of the cache that may live on different masters. */
const CLUSTER_LANES = 16;

/** Connects the shared tier to Redis. Redis may be away now and at any time: whatever needs it does without and tries again by itself. */
export function openRedisTier(settings: Settings, redisUrl: string, masterKeys: MasterKeys | undefined, log: Log): SharedTier {
  const client = openClient(redisUrl);
  const { redisPrefix: keyPrefix, cacheTtl: ttlMs } = settings;
  const place = { client, keyPrefix, lanes: client.isCluster ? CLUSTER_LANES : 1 };
  // A master key that was given is the fleet's: Redis then sees neither answers nor invalidations that it could forge. A generated one is
  // this machine's alone, and another machine could not read what it sealed.
  const sealing = masterKeys ? { sealing: openSealing(masterKeys) } : {};
  const signer = masterKeys ? { signer: openSigner(masterKeys) } : {};
  const l2 = new RedisCache<StoredAnswer>({
    ...place,
    namespace: ANSWERS_NAMESPACE,
    ttlMs,
    codec: answerCodec,
    maxValueBytes: MAX_SHARED_BYTES,
    ...sealing,
  });
  const notes = new RedisCache<string>({ ...place, namespace: "responses", ttlMs: NOTES_TTL_MS, ...sealing });
  const bus = new RedisInvalidationBus({ ...place, ...signer });
  logRedis(client, l2, log);
  return {
    l2,
    bus,
    notes,
    counter: createSharedCounter(client, keyPrefix),
    openMirror: async () => {
      const { createRedisMirror } = await import("@larder/provider-sync/redis-mirror");
      return createRedisMirror({ client, keyPrefix });
    },
    openWatcherPort: async () => {
      const { redisWatcherPort } = await import("@larder/pubsub-invalidation/watcher");
      return redisWatcherPort(client, `${keyPrefix}:watch:${ANSWERS_NAMESPACE}`);
    },
    // Connected is not enough: the cache looks at who answers before it trusts what is stored there.
    isUp: () => client.status === "ready" && !l2.stats().isDegraded,
    close: async () => {
      await Promise.allSettled([l2.close(), notes.close(), bus.close()]);
      client.disconnect();
    },
  };
}

function openSealing({ masterKey, previousMasterKeys }: MasterKeys): ReturnType<typeof createSealing> {
  const toKey = (key: Buffer): SealingKey => ({ id: keyIdOf(key), secret: deriveKey(key, "answers") });
  return createSealing({ current: toKey(masterKey), previous: previousMasterKeys.map(toKey) });
}

/** Signs with the key of now and takes what a previous one has signed: while a fleet rotates, both are in use. */
function openSigner({ masterKey, previousMasterKeys }: MasterKeys): BodySigner {
  const [current, ...previous] = [masterKey, ...previousMasterKeys].map((key) => createBodySigner(deriveKey(key, "bus")));
  const signers = [current as BodySigner, ...previous];
  return {
    sign: (namespace, body) => (signers[0] as BodySigner).sign(namespace, body),
    verify: (namespace, body, signature) => signers.some((signer) => signer.verify(namespace, body, signature)),
  };
}
