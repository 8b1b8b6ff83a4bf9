import { Budget, type Clock, type InvalidationBus, type InvalidationChannel, systemClock } from "@larder/cache-core";

/** The bus namespace under which catalogs hear of new versions. */
export const catalogNamespace = "catalog";
/** The one key of that namespace. */
export const catalogKey = "current";

/** Tells other processes that there is a new version. */
export interface VersionPublisher {
  /** Resolves when it was told; rejects when nobody knows. */
  publish(version: number): Promise<void>;
  /** Leaves the bus. Calling it again is fine. */
  close(): void;
}

/** How long the news may take. */
export interface VersionPublisherOptions {
  /** Milliseconds > 0 to wait for the bus. @default 1000 */
  readonly timeoutMs?: number;
  /** @default the machine's */
  readonly clock?: Clock;
}

/** Publishes new versions as invalidations of the catalog's key on a bus. Catalogs also look by themselves, so a lost message costs time only. */
export function createVersionPublisher(bus: InvalidationBus, options: VersionPublisherOptions = {}): VersionPublisher {
  const { timeoutMs = 1000, clock = systemClock } = options;
  const ignore = { onInvalidation: () => {}, onReset: () => {}, onProof: () => {} };
  const channel: InvalidationChannel = bus.join(catalogNamespace, ignore);
  return {
    publish: async () => {
      await channel.invalidate({ kind: "key", key: catalogKey }, { budget: new Budget(timeoutMs, clock) });
    },
    close: () => channel.leave(),
  };
}

/** Publishes, and answers whether it was told instead of rejecting. */
export function publishVersion(publisher: VersionPublisher, version: number): Promise<boolean> {
  return publisher.publish(version).then(
    () => true,
    () => false,
  );
}
