import { type Channel, channel } from "node:diagnostics_channel";
import type { BreakerState } from "./breaker.ts";
import type { CallFailureKind } from "./call-failure.ts";
import type { PipelineFault } from "./value-pipeline.ts";

/** What the tier tells on `node:diagnostics_channel`, under the name `larder:<event>`. Nobody listening costs one property read. Never a value. */
export interface RedisCacheEvents {
  /** A lane's breaker changed. */
  "redis-state": { readonly namespace: string; readonly lane: number; readonly state: BreakerState };
  /** Bytes under a key were not an entry of it: a miss. */
  "redis-entry-refused": { readonly namespace: string; readonly key: string; readonly fault: PipelineFault };
  /** A call had no answer that could be used. `word`: the first word of Redis' error, or a socket's error code. */
  "redis-call-failed": { readonly namespace: string; readonly operation: string; readonly kind: CallFailureKind; readonly word: string };
}

const channels: Readonly<Record<keyof RedisCacheEvents, Channel>> = {
  "redis-state": channel("larder:redis-state"),
  "redis-entry-refused": channel("larder:redis-entry-refused"),
  "redis-call-failed": channel("larder:redis-call-failed"),
};

/** Publishes an event when somebody listens. @param describe makes the event; not called otherwise */
export function publishRedisEvent<Name extends keyof RedisCacheEvents>(name: Name, describe: () => RedisCacheEvents[Name]): void {
  const target = channels[name];
  if (target.hasSubscribers) target.publish(describe());
}
