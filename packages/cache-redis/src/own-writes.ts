import { type Clock, type FillOptions, type InvalidationTarget, PendingInvalidations } from "@larder/cache-core";
import type { EntryReader } from "./entry-reader.ts";
import type { EntryWriter } from "./entry-writer.ts";
import type { Place } from "./place.ts";

/** Keys told apart at most while their writes have not reached Redis; beyond, everything is cleared once it is back. */
const MAX_PENDING = 10_000;

/** What a store's own writes need. */
export interface OwnWritesOptions<V> {
  readonly clock: Clock;
  readonly reader: EntryReader<V>;
  readonly writer: EntryWriter;
  readonly locate: (key: string) => Place;
  /** How long the look at what was deleted may take, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * `set`, `delete` and `clear`: what changes this store. No other process is told of the first two; a clear moves the version that the first
 * tiers on a bus judge by, so it is logged and published as an invalidation is. A write that Redis has not acknowledged covers its key, which
 * then reads as a miss here, and is deleted when Redis is back.
 */
export class OwnWrites<V> {
  readonly #options: OwnWritesOptions<V>;
  readonly #pending: PendingInvalidations;

  constructor(options: OwnWritesOptions<V>) {
    this.#options = options;
    this.#pending = new PendingInvalidations({
      clock: options.clock,
      limit: MAX_PENDING,
      send: (target) => this.#dropAgain(target),
      isReached: (target, key) => options.writer.hasReached(target, options.locate(key).lane),
    });
  }

  /** Whether Redis may still hold something older than a write of this process. */
  covers(key: string): boolean {
    return this.#pending.covers(key);
  }

  /** Stores an entry. @returns whether it is stored */
  async set(place: Place, entry: Buffer, options: FillOptions): Promise<boolean> {
    let isStored = false;
    await this.#pending.run({ kind: "key", key: place.key }, async () => {
      isStored = await this.#options.writer.set(place, entry, options);
    });
    return isStored;
  }

  /** Deletes a key. @returns whether a live entry was there; `false` also when nobody knows, and then it reads as a miss until it is gone */
  async delete(place: Place): Promise<boolean> {
    const { writer, reader, timeoutMs } = this.#options;
    const { lane, key } = place;
    let wasLive = false;
    await this.#pending.run({ kind: "key", key }, async () => {
      const { known } = lane.versions;
      const { record, head } = await writer.drop(place);
      const by = lane.versions.fromReply(record, known);
      wasLive = by !== undefined && head.length > 0 && (await reader.isLive(lane, key, head, by, timeoutMs));
    });
    return wasLive;
  }

  /** Voids every entry. A lane that does not answer is voided later, and nothing is read from it until then. */
  async clear(): Promise<void> {
    const target: InvalidationTarget = { kind: "all" };
    await this.#pending.run(target, () => this.#options.writer.mark(target, "clear", false));
  }

  /** Sends what Redis has not acknowledged. */
  flush(): Promise<unknown> {
    return this.#pending.flush();
  }

  /** Ends the retries. */
  close(): void {
    this.#pending.close();
  }

  async #dropAgain(target: InvalidationTarget): Promise<unknown> {
    const { writer, locate } = this.#options;
    return target.kind === "key" ? writer.drop(locate(target.key)) : writer.mark(target, "clear", true);
  }
}
