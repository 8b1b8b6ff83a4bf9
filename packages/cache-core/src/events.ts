import { type Channel, channel } from "node:diagnostics_channel";
import type { ResetReason } from "./bus.ts";
import type { InvalidationTarget } from "./invalidation.ts";

/**
 * What a cache tells whoever listens on `node:diagnostics_channel`, under the name `larder:<event>`. Nobody listening costs one
 * property read. Events carry keys and never values.
 */
export interface CacheEvents {
  /** A loader finished. `outcome`: stored; made `undefined` or asked not to be stored; refused by an invalidation; failed. */
  "load-finished": {
    readonly namespace: string;
    readonly key: string;
    readonly durationMs: number;
    readonly outcome: "stored" | "not-stored" | "rejected" | "failed";
  };
  /** An invalidation was called here; `isPropagated`: whether the backend took it at once. */
  "invalidation-sent": { readonly namespace: string; readonly target: InvalidationTarget; readonly isPropagated: boolean };
  /** An invalidation by another process was heard. */
  "invalidation-received": { readonly namespace: string; readonly target: InvalidationTarget; readonly origin: string };
  /** Everything held was dropped, because messages may have been missed. */
  "entries-reset": { readonly namespace: string; readonly reason: ResetReason };
  /** Proof that invalidations arrive ran out, at this wall-clock instant. */
  "bus-lost": { readonly namespace: string; readonly sinceAt: number };
  /** It is back; told after joining a bus, too, when it is proved for the first time. */
  "bus-recovered": { readonly namespace: string; readonly lostForMs: number };
}

const channels: Readonly<Record<keyof CacheEvents, Channel>> = {
  "load-finished": channel("larder:load-finished"),
  "invalidation-sent": channel("larder:invalidation-sent"),
  "invalidation-received": channel("larder:invalidation-received"),
  "entries-reset": channel("larder:entries-reset"),
  "bus-lost": channel("larder:bus-lost"),
  "bus-recovered": channel("larder:bus-recovered"),
};

/** Publishes an event when somebody listens. @param describe makes the event; not called otherwise */
export function publishEvent<Name extends keyof CacheEvents>(name: Name, describe: () => CacheEvents[Name]): void {
  const target = channels[name];
  if (target.hasSubscribers) target.publish(describe());
}
