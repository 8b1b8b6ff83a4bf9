import {
  type BackendCall,
  CacheError,
  type Clock,
  encodeBody,
  type FillOptions,
  type FillOutcome,
  type InvalidationChannel,
  type InvalidationTarget,
  type KeySpace,
  markOf,
  type RandomSource,
  type Replacement,
  type Version,
} from "@larder/cache-core";
import { type CallFailure, toCacheError } from "./call-failure.ts";
import type { Lane } from "./lane.ts";
import { toText } from "./lane.ts";
import type { Place } from "./place.ts";
import type { RedisCounters, RedisOperation } from "./redis-stats.ts";
import { drop, fill, invalidate, mark, type RedisScript, replace } from "./scripts.ts";

/** How long a tag's record outlives its invalidation, in milliseconds. One that is gone costs misses, never a stale answer. */
const TAG_MS = 7 * 86_400_000;
/** How long a fence stays after a fill: others who load the same key at that moment may still fill it. */
const FENCE_AFTER_FILL_MS = 60_000;
/** Beyond this Redis' own arithmetic on expiry times overflows; it is three thousand years. */
const MAX_PX = 1e14;
const LATE: CallFailure = { kind: "timeout", word: "LATE" };
const OUT_OF_BUDGET: CallFailure = { kind: "timeout", word: "BUDGET" };

/** What a writer works with. */
export interface EntryWriterOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly keySpace: KeySpace;
  readonly lanes: readonly Lane[];
  readonly counters: RedisCounters;
  /** Milliseconds > 0 that a write may wait; past it the script refuses itself. */
  readonly timeoutMs: number;
  /** Invalidations that the log keeps at least. */
  readonly logLength: number;
  /** Publishes by SPUBLISH. */
  readonly isSharded: boolean;
}

/** What was deleted: the record and the entry's head, to tell whether a live entry was there. */
export interface Dropped {
  readonly record: readonly unknown[];
  readonly head: Buffer;
}

/** Everything that changes entries in Redis. */
export class EntryWriter {
  readonly #options: EntryWriterOptions;
  readonly #originId: string;
  /**
   * The lanes that have acknowledged a tag, a pattern or all, while others have not: by the target object, which names one invalidation.
   * Only a repeat of that very one goes by it.
   */
  readonly #reached: WeakMap<InvalidationTarget, Map<Lane, Version>> = new WeakMap();
  /** Whose origin messages carry when a call does not say whose it is. */
  channel: InvalidationChannel | undefined;

  constructor(options: EntryWriterOptions) {
    this.#options = options;
    this.#originId = options.random.token();
  }

  /** Runs a script in a lane, charged to the caller's budget. @throws {CallFailure} counted */
  async run(
    operation: RedisOperation,
    lane: Lane,
    script: RedisScript,
    keys: readonly string[],
    args: ReadonlyArray<string | number | Buffer>,
    call?: BackendCall,
  ): Promise<unknown> {
    const { counters, clock } = this.#options;
    const timeoutMs = this.timeout(call);
    const startedAt = clock.now();
    lane.refresh();
    try {
      if (timeoutMs <= 0) throw OUT_OF_BUDGET;
      const reply = await (call
        ? call.budget.spend(() => lane.run(script, keys, args, timeoutMs), timeoutMs)
        : lane.run(script, keys, args, timeoutMs));
      if (toText(reply) === "late") throw LATE;
      return reply;
    } catch (failure) {
      counters.fail(operation, failure as CallFailure);
      throw failure;
    } finally {
      counters.time(operation, clock.now() - startedAt);
    }
  }

  /** What a call may take. */
  timeout(call?: BackendCall): number {
    return Math.min(this.#options.timeoutMs, call?.budget.leftMs ?? Infinity);
  }

  /** Stores a loaded value under the fence that was taken before the load. */
  async fill(
    { lane, name }: Place,
    { version, fence, lease }: { readonly version: Version; readonly fence: string; readonly lease: string },
    entry: Buffer,
    options: FillOptions,
  ): Promise<FillOutcome> {
    const { keySpace, counters } = this.#options;
    const keys = [
      keySpace.value(name),
      keySpace.fence(name),
      keySpace.lease(name),
      keySpace.record(lane.index),
      ...this.#tagKeys(lane, options.tags),
    ];
    const args = [
      lane.serverTime(this.timeout()),
      version.epoch,
      version.seq,
      fence,
      lease,
      toPx(options),
      entry,
      keySpace.wakeChannel(name),
      FENCE_AFTER_FILL_MS,
      lane.serverTime(0),
    ];
    try {
      const [outcome] = (await this.run("fill", lane, fill, keys, args)) as [unknown];
      const told = toText(outcome);
      this.#countSent(entry);
      if (told === "stored") counters.base.sets += 1;
      else if (told === "rejected") counters.base.rejectedFills += 1;
      else counters.fail("fill", LATE);
      return told === "stored" || told === "rejected" ? told : "failed";
    } catch {
      return "failed";
    }
  }

  /** A new value in place of the old one, for this store alone. @returns whether it is stored @throws {CallFailure} as `replace` */
  async set(place: Place, entry: Buffer, options: FillOptions): Promise<boolean> {
    const { known } = place.lane.versions;
    const reply = await this.#put("set", place, entry, options, "");
    if (reply === undefined) await this.drop(place);
    else this.#acknowledge(place.lane, reply, { kind: "key", key: place.key }, known);
    return reply !== undefined;
  }

  /** A new value in place of the old one and of loads in flight, which the others are told. @throws {CallFailure} when nobody knows what happened */
  async replace(place: Place, entry: Buffer, options: FillOptions, call: BackendCall): Promise<Replacement> {
    const target: InvalidationTarget = { kind: "key", key: place.key };
    const { known } = place.lane.versions;
    const reply = await this.#put("replace", place, entry, options, this.#encode(target, call.channel), call);
    if (reply === undefined) return { version: await this.#invalidateKey(place, call), isStored: false };
    return { version: this.#acknowledge(place.lane, reply, target, known), isStored: true };
  }

  /**
   * Puts an entry in its place. When the connection breaks under it, the command may still reach the server, until the deadline it
   * carries. The failure is told only then: who holds a lock around commit and `set` would give it away sooner, the next writer's
   * invalidation could overtake the command, and the older value would be stored behind it (found by the simulator:
   * `set-lost-behind-an-invalidation.json`).
   * @returns the reply; `undefined` when Redis is out of memory, and then the caller removes the old value
   * @throws {CallFailure} when nobody knows what happened
   */
  async #put(
    operation: "set" | "replace",
    place: Place,
    entry: Buffer,
    options: FillOptions,
    told: string,
    call?: BackendCall,
  ): Promise<unknown> {
    const { lane, name } = place;
    const { keySpace, random, logLength, counters, clock } = this.#options;
    const timeoutMs = this.timeout(call);
    const refusedAt = clock.now() + timeoutMs;
    const keys = [...this.keysOf(place), ...this.#tagKeys(lane, options.tags)];
    const args = [
      random.token(),
      lane.serverTime(timeoutMs),
      toPx(options),
      entry,
      this.#publish,
      keySpace.wakeChannel(name),
      told,
      keySpace.channel(lane.index),
      logLength,
      lane.serverTime(0),
    ];
    try {
      const reply = await this.run(operation, lane, replace, keys, args, call);
      this.#countSent(entry);
      counters.base.sets += 1;
      return reply;
    } catch (failure) {
      const { kind, word } = failure as CallFailure;
      if (kind === "lost") await this.#until(refusedAt);
      if (kind !== "refused" || word !== "OOM") throw failure;
      counters.base.rejectedSets += 1;
      return undefined;
    }
  }

  /** Resolves at an instant of the monotonic clock. */
  #until(at: number): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      clock.setTimer(resolve, Math.max(0, at - clock.now()));
    });
  }

  /** @throws {CacheError} ERR_CACHE_BACKEND or ERR_CACHE_TIMEOUT */
  async invalidate(target: InvalidationTarget, place: Place | undefined, call?: BackendCall): Promise<Version> {
    this.#options.counters.base.invalidations += 1;
    return this.tell(
      () => (place ? this.#invalidateKey(place, call) : this.mark(target, "invalidate", call?.isRepeat === true, call)),
      "invalidate",
    );
  }

  /** Runs a write whose caller must know. @throws {CacheError} in place of a call's failure */
  async tell<T>(write: () => Promise<T>, operation: RedisOperation): Promise<T> {
    try {
      return await write();
    } catch (failure) {
      throw CacheError.is(failure) ? failure : toCacheError(operation, failure as CallFailure);
    }
  }

  /**
   * Marks a tag, a pattern or all in every lane. @param isRepeat only in those that have not acknowledged it: the others may hold newer entries
   * @throws {CallFailure} when one of them did not answer
   */
  async mark(target: InvalidationTarget, operation: RedisOperation, isRepeat: boolean, call?: BackendCall): Promise<Version> {
    const { keySpace, random, logLength, lanes } = this.#options;
    const [kind, subject] = markOf(target);
    const body = this.#encode(target, call?.channel);
    const reached = (isRepeat ? this.#reached.get(target) : undefined) ?? new Map<Lane, Version>();
    this.#reached.set(target, reached);
    const marked = await Promise.allSettled(
      lanes.map(async (lane) => {
        if (reached.has(lane)) return;
        const keys = [keySpace.record(lane.index), keySpace.log(lane.index)];
        // A key that is not there has the script refused while its slot is being moved.
        if (kind === "tag") keys.push(keySpace.tag(lane.index, subject));
        const args = [random.token(), this.#publish, keySpace.channel(lane.index), logLength, body, kind, subject, TAG_MS];
        const { known } = lane.versions;
        reached.set(lane, this.#acknowledge(lane, await this.run(operation, lane, mark, keys, args, call), target, known));
      }),
    );
    const failed = marked.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    this.#reached.delete(target);
    return reached.get(lanes.at(-1) as Lane) as Version;
  }

  /** Whether a lane has acknowledged an invalidation that did not get through to all of them. */
  hasReached(target: InvalidationTarget, lane: Lane): boolean {
    return this.#reached.get(target)?.has(lane) ?? false;
  }

  /** Deletes a key in this store alone. @throws {CallFailure} */
  async drop(place: Place): Promise<Dropped> {
    const { keySpace } = this.#options;
    const { lane, name } = place;
    const reply = (await this.run("delete", lane, drop, this.keysOf(place), [keySpace.wakeChannel(name)])) as unknown[];
    return { record: reply.slice(0, 5).map(toText), head: Buffer.isBuffer(reply[6]) ? reply[6] : Buffer.alloc(0) };
  }

  get #publish(): string {
    return this.#options.isSharded ? "SPUBLISH" : "PUBLISH";
  }

  #encode(target: InvalidationTarget, channel: InvalidationChannel | undefined = this.channel): string {
    return channel?.encodeBody(target) ?? encodeBody(this.#originId, target);
  }

  async #invalidateKey(place: Place, call?: BackendCall): Promise<Version> {
    const { keySpace, random, logLength } = this.#options;
    const { lane, key, name } = place;
    const target: InvalidationTarget = { kind: "key", key };
    const args = [
      random.token(),
      this.#publish,
      keySpace.channel(lane.index),
      logLength,
      this.#encode(target, call?.channel),
      keySpace.wakeChannel(name),
    ];
    const { known } = lane.versions;
    return this.#acknowledge(lane, await this.run("invalidate", lane, invalidate, this.keysOf(place), args, call), target, known);
  }

  /** The keys of an entry and of its lane, in the order in which scripts take them. */
  keysOf({ lane, name }: Place): string[] {
    const { keySpace } = this.#options;
    return [keySpace.value(name), keySpace.fence(name), keySpace.lease(name), keySpace.record(lane.index), keySpace.log(lane.index)];
  }

  #tagKeys(lane: Lane, tags: readonly string[]): string[] {
    return [...new Set(tags)].map((tag) => this.#options.keySpace.tag(lane.index, tag));
  }

  #acknowledge(lane: Lane, reply: unknown, target: InvalidationTarget, known: Version): Version {
    const [epoch, seq] = (reply as unknown[]).map(toText);
    const version: Version = { epoch: String(epoch), seq: Number(seq) };
    lane.versions.acknowledge(version, target, known);
    lane.endTurn();
    return version;
  }

  #countSent(entry: Buffer): void {
    this.#options.counters.bytesOut += entry.length;
  }
}

/** The lifetime for PX: whole milliseconds, stale window included; empty for ever. */
function toPx({ ttlMs, staleMs }: FillOptions): string {
  const px = Math.ceil(ttlMs + staleMs);
  return px > MAX_PX ? "" : String(px);
}
