import type { InvalidationBus } from "@larder/cache-core";

/** Told when a cache is: `undefined` stands for more than one key. */
export type OnTold = (key: string | undefined) => unknown;

/** The same bus, with somebody who learns what it makes its caches drop. */
export function watchBus(bus: InvalidationBus, onTold: OnTold): InvalidationBus {
  return {
    originId: bus.originId,
    join: (namespace, listener) =>
      bus.join(namespace, {
        onInvalidation: (invalidation) => {
          onTold(invalidation.target.kind === "key" ? invalidation.target.key : undefined);
          listener.onInvalidation(invalidation);
        },
        onReset: (reason) => {
          onTold(undefined);
          listener.onReset(reason);
        },
        onProof: (provenAt) => listener.onProof(provenAt),
        onProofLost: () => listener.onProofLost?.(),
      }),
    close: () => bus.close(),
  };
}
