import type { InvalidationBus, InvalidationChannel, InvalidationListener } from "./bus.ts";
import { CacheError } from "./errors.ts";
import type { Invalidation, InvalidationTarget, Version } from "./invalidation.ts";
import { encodeBody } from "./message.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import { VersionRecord } from "./version-record.ts";

/** The caches of one namespace, and their common order. */
class Room {
  readonly members: Set<MemoryChannel> = new Set();
  readonly record: VersionRecord;
  /** Called when the last member has left: an application may have a cache per tenant, and they come and go. */
  readonly onEmpty: () => void;

  constructor(epoch: string, onEmpty: () => void) {
    this.onEmpty = onEmpty;
    this.record = new VersionRecord({ epoch, seq: 0, clearedAt: 0, taggedAt: 0, patterns: [] });
  }
}

class MemoryChannel implements InvalidationChannel {
  readonly listener: InvalidationListener;
  readonly #room: Room;
  readonly #originId: string;
  #isLeft = false;

  constructor(room: Room, originId: string, listener: InvalidationListener) {
    this.#room = room;
    this.#originId = originId;
    this.listener = listener;
  }

  get lastProofAt(): number {
    return this.#isLeft ? -Infinity : Infinity;
  }

  version(): VersionRecord {
    return this.#room.record;
  }

  encodeBody(target: InvalidationTarget): string {
    return encodeBody(this.#originId, target);
  }

  async ready(): Promise<void> {
    if (this.#isLeft) throw new CacheError("ERR_CACHE_CLOSED", "the channel has been left");
  }

  async invalidate(target: InvalidationTarget): Promise<Version> {
    if (this.#isLeft) throw new CacheError("ERR_CACHE_CLOSED", "the channel has been left");
    const { record } = this.#room;
    const seq = record.seq + 1;
    record.apply(seq, target);
    const heard = { epoch: record.epoch, seq, origin: this.#originId, target };
    for (const member of this.#room.members) {
      if (member !== this) member.#tell(heard);
    }
    return { epoch: record.epoch, seq };
  }

  leave(): void {
    this.#isLeft = true;
    const { members, onEmpty } = this.#room;
    if (members.delete(this) && members.size === 0) onEmpty();
  }

  /** The bus is closed under a cache that goes on: what it was told once, that nothing can be missed, is not true any more. */
  abandon(): void {
    this.leave();
    this.#guard(() => this.listener.onProofLost?.());
  }

  #tell(heard: Invalidation): void {
    this.#guard(() => this.listener.onInvalidation(heard));
  }

  /** A listener that throws must not keep the others from hearing. */
  #guard(tell: () => void): void {
    try {
      tell();
    } catch {
      // Its own cache has failed, which is for its own stats to tell.
    }
  }
}

/** A bus between the caches of one process: every member hears an invalidation before the call returns, and none can be missed. */
export class MemoryInvalidationBus implements InvalidationBus {
  readonly originId: string;
  readonly #random: RandomSource;
  readonly #rooms: Map<string, Room> = new Map();
  #joined = 0;
  #isClosed = false;

  /** @param random where the epoch and the origin come from */
  constructor(random: RandomSource = systemRandom) {
    this.#random = random;
    this.originId = random.token();
  }

  join(namespace: string, listener: InvalidationListener): InvalidationChannel {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the bus has been closed");
    const room = this.#rooms.get(namespace) ?? new Room(this.#random.token(), () => this.#rooms.delete(namespace));
    this.#rooms.set(namespace, room);
    this.#joined += 1;
    const channel = new MemoryChannel(room, `${this.originId}.${this.#joined}`, listener);
    room.members.add(channel);
    listener.onProof(Infinity);
    return channel;
  }

  /** Caches that are still on it serve what they hold for `maxStalenessMs` more, and call themselves degraded: they hear of nothing now. */
  close(): void {
    this.#isClosed = true;
    for (const room of this.#rooms.values()) {
      for (const member of [...room.members]) member.abandon();
    }
  }
}
