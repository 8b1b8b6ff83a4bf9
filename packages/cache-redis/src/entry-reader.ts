import type { Clock, KeySpace, StoreEntry } from "@larder/cache-core";
import type { CallFailure } from "./call-failure.ts";
import type { StoredParts } from "./entry-format.ts";
import type { Lane } from "./lane.ts";
import { toText } from "./lane.ts";
import { type Judge, judge } from "./lane-versions.ts";
import type { RedisCounters } from "./redis-stats.ts";
import type { ValuePipeline } from "./value-pipeline.ts";

/** Told once. */
export type FoundDone<V> = (entry: StoreEntry<V> | undefined) => void;

/** What a reader works with. */
export interface EntryReaderOptions<V> {
  readonly clock: Clock;
  readonly keySpace: KeySpace;
  readonly values: ValuePipeline<V>;
  readonly counters: RedisCounters;
}

/**
 * The hit path: one read, a look at the header, a judgement from memory, the body.
 *
 * The judgement is made when the reply is here, by what is known then: an invalidation that was heard while the reply travelled counts.
 * Where no fresh proof stands behind what is known, the lane's record is read in front of the batch. Both are read after the caller asked,
 * so whatever was invalidated before that is seen, in whatever order the two replies come.
 */
export class EntryReader<V> {
  readonly #options: EntryReaderOptions<V>;

  constructor(options: EntryReaderOptions<V>) {
    this.#options = options;
  }

  /** Reads an entry. `name`: the key as it is spelt in Redis. Trouble is counted and reads as a miss. */
  read(lane: Lane, key: string, name: string, timeoutMs: number, done: FoundDone<V>): void {
    const { clock, counters, keySpace } = this.#options;
    if (!lane.isOpen) {
      counters.fail("read", { kind: "bypassed", word: "" });
      done(undefined);
      return;
    }
    lane.refresh();
    const startedAt = clock.now();
    if (lane.versions.fromChannel(startedAt)) {
      lane.get(keySpace.value(name), timeoutMs, (failure, reply) => {
        const now = clock.now();
        counters.readLatency.add(now - startedAt);
        this.#take(lane, key, failure, reply, lane.versions.fromChannel(now), timeoutMs - (now - startedAt), done);
      });
      return;
    }
    this.#readJudged(lane, key, name, timeoutMs, startedAt, done);
  }

  /** Judges an entry that was read, and opens it. */
  open(lane: Lane, key: string, bytes: Buffer, by: Judge, timeoutMs: number, done: FoundDone<V>): void {
    const { values, counters } = this.#options;
    counters.bytesIn += bytes.length;
    const parts = values.parse(key, bytes);
    if (typeof parts === "string") {
      counters.refuse(key, parts);
      done(undefined);
      return;
    }
    const judgement = judge(by, parts.version, key, parts.tags);
    if (judgement === "unknown")
      this.#judgeByTags(lane, key, parts, by, timeoutMs, (isValid) => done(isValid ? this.#toEntry(lane, key, parts) : undefined));
    else done(judgement === "valid" ? this.#toEntry(lane, key, parts) : undefined);
  }

  /** Whether the head of an entry is that of a live one. */
  isLive(lane: Lane, key: string, head: Buffer, by: Judge, timeoutMs: number): Promise<boolean> {
    const parts = this.#options.values.parse(key, head, true);
    if (typeof parts === "string" || this.#life(lane, parts).freshMs <= 0) return Promise.resolve(false);
    const judgement = judge(by, parts.version, key, parts.tags);
    if (judgement !== "unknown") return Promise.resolve(judgement === "valid");
    return new Promise((resolve) => this.#judgeByTags(lane, key, parts, by, timeoutMs, resolve));
  }

  #readJudged(lane: Lane, key: string, name: string, timeoutMs: number, startedAt: number, done: FoundDone<V>): void {
    const { clock, counters, keySpace } = this.#options;
    let awaited = 2;
    let by: Judge | undefined;
    let failure: CallFailure | undefined;
    let reply: Buffer | null | undefined;
    const proceed = (): void => {
      awaited -= 1;
      if (awaited > 0) return;
      const tookMs = clock.now() - startedAt;
      counters.readLatency.add(tookMs);
      this.#take(lane, key, failure, reply, by, timeoutMs - tookMs, done);
    };
    lane.judge(timeoutMs, (found) => {
      by = found;
      proceed();
    });
    lane.get(keySpace.value(name), timeoutMs, (why, bytes) => {
      failure = why;
      reply = bytes;
      proceed();
    });
  }

  #take(
    lane: Lane,
    key: string,
    failure: CallFailure | undefined,
    reply: Buffer | null | undefined,
    by: Judge | undefined,
    timeoutMs: number,
    done: FoundDone<V>,
  ): void {
    if (failure) this.#options.counters.fail("read", failure);
    if (reply && by) this.open(lane, key, reply, by, timeoutMs, done);
    else done(undefined);
  }

  /** Reads the records of tags that nothing is known of. One that is lost, or of another epoch, may have been newer: then nothing is known. */
  #judgeByTags(
    lane: Lane,
    key: string,
    { version, tags }: StoredParts,
    by: Judge,
    timeoutMs: number,
    done: (isValid: boolean) => void,
  ): void {
    const { record } = by;
    const unknown = record.unknownTags(tags);
    const { keySpace } = this.#options;
    // What the read before this one took is gone from the caller's time (found by the simulator: a get took 86 ms of its 50).
    if (timeoutMs <= 0) {
      done(false);
      return;
    }
    lane.getMany(
      unknown.map((tag) => keySpace.tag(lane.index, tag)),
      timeoutMs,
      (_, replies) => {
        const seqs = replies?.map((reply) => /^([^:]+):(\d+)$/.exec(String(toText(reply))));
        const isKnown = seqs?.every((match) => match?.[1] === record.epoch) ?? false;
        if (isKnown) for (const [index, tag] of unknown.entries()) record.learnTag(tag, Number(seqs?.[index]?.[2]));
        done(isKnown && judge(by, version, key, tags) === "valid");
      },
    );
  }

  #life(lane: Lane, { storedAt, ttlMs, staleMs }: StoredParts): Pick<StoreEntry<V>, "ageMs" | "freshMs" | "remainingMs"> {
    const now = this.#options.clock.now();
    // Rather too old than too young, by the round trip of a check at most.
    const ageMs = Math.max(0, lane.time.latest(now) - storedAt);
    // What never ends may be of any age.
    const isOver = ttlMs < Infinity && lane.time.isToCome(storedAt, now);
    const freshMs = isOver ? -Infinity : ttlMs - ageMs;
    return { ageMs, freshMs, remainingMs: freshMs + staleMs };
  }

  #toEntry(lane: Lane, key: string, parts: StoredParts): StoreEntry<V> | undefined {
    const life = this.#life(lane, parts);
    if (!(life.remainingMs > 0)) return undefined;
    const opened = this.#options.values.open(key, parts);
    if (typeof opened === "string") {
      this.#options.counters.refuse(key, opened);
      return undefined;
    }
    const { ageMs, freshMs, remainingMs } = life;
    return { value: opened.value, version: parts.version, ageMs, freshMs, remainingMs, tags: parts.tags };
  }
}
