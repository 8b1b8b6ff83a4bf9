import type { VirtualTime } from "./virtual-time.ts";

/** A string, as text or bytes. */
export type Text = string | Buffer;

interface Slot {
  value: Text | Map<string, string> | StreamEntry[];
  /** Redis time in milliseconds; `Infinity` = never. */
  expiresAt: number;
}

interface StreamEntry {
  readonly seq: number;
  readonly body: string;
}

/** Everything that a server holds, to be brought back later by a restart or a failover. */
export type Snapshot = ReadonlyMap<string, Slot>;

/** Who is told of a publication. */
export interface Subscriber {
  hear(channel: string, text: string): void;
}

/** A publication. */
export interface Publication {
  readonly channel: string;
  readonly text: string;
}

const EPOCH_AT = 1_700_000_000_000;

/** What a replica says to who writes. */
export const READ_ONLY = "READONLY You can't write against a read only replica.";

/** An error reply of the server. */
export class ReplyError extends Error {
  override name = "ReplyError";
}

/**
 * As much of a Redis server as the caches use: strings, hashes and one stream per lane with expiry in Redis time, publish and subscribe,
 * memory that may be full, data that may be lost, and a run id that changes when the server does. Held to the real server by a test that
 * runs the same random scripts on both.
 */
export class SimulatedRedis {
  readonly #time: VirtualTime;
  readonly #slots: Map<string, Slot> = new Map();
  readonly #subscribers: Map<string, Set<Subscriber>> = new Map();
  readonly #runName: string;
  /** Hears whatever is published, whoever subscribes. */
  watcher: Subscriber | undefined;
  /** Where replicas are fed: told after each script what there is then, and what it published. */
  onChange: ((data: Snapshot, published: readonly Publication[]) => void) | undefined;
  /** The other shards of its cluster: what is published here is heard there as well. */
  peers: readonly SimulatedRedis[] = [];
  /** Messages sent to subscribers so far: one for each subscriber of what is published. */
  pushed = 0;
  #runs = 1;
  #published: Publication[] = [];
  /** The error that it answers every command with, as one that loads its data or runs a script for too long; `undefined` = none. */
  refusal: string | undefined;
  /** The same for each first write, as of one that is a replica or cannot save; what only reads is answered. */
  writeRefusal: string | undefined;
  /** Whether memory is full: what needs more is refused, unless its script has written already. */
  isFull = false;
  /** By how much its clock is off, in milliseconds. */
  skewMs = 0;
  /** Whether the running script has written. Scripts begin with `beginScript`. */
  #hasWritten = false;

  /** @param name tells its run ids from those of others */
  constructor(time: VirtualTime, name: string = "run") {
    this.#time = time;
    this.#runName = name;
  }

  /** What INFO tells of the running server. */
  get runId(): string {
    return `${this.#runName}${this.#runs}`;
  }

  /** Redis time in milliseconds. */
  get now(): number {
    return this.trueNow + this.skewMs;
  }

  /** What its clock would show if nobody had set it. */
  get trueNow(): number {
    return Math.floor(EPOCH_AT + this.#time.now);
  }

  beginScript(): void {
    this.#hasWritten = false;
  }

  /** The script is over, however it ended: replicas are told. */
  endScript(): void {
    this.onChange?.(this.snapshot(), this.#published.splice(0));
  }

  get(key: string): Text | undefined {
    const value = this.#find(key)?.value;
    if (value === undefined || typeof value === "string" || Buffer.isBuffer(value)) return value;
    throw new ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  set(key: string, value: Text, px: number = Infinity): void {
    this.#write(true);
    this.#slots.set(key, { value, expiresAt: this.now + px });
  }

  delete(...keys: readonly string[]): number {
    this.#write(false);
    let deleted = 0;
    for (const key of keys) if (this.#find(key) !== undefined && this.#slots.delete(key)) deleted += 1;
    return deleted;
  }

  expire(key: string, px: number): void {
    this.#write(false);
    const slot = this.#find(key);
    if (slot) slot.expiresAt = this.now + px;
  }

  /** Milliseconds left; -1 = never expires, -2 = not there. */
  timeLeft(key: string): number {
    const slot = this.#find(key);
    if (!slot) return -2;
    return slot.expiresAt === Infinity ? -1 : slot.expiresAt - this.now;
  }

  hashGet(key: string, field: string): string | null {
    return this.#hash(key)?.get(field) ?? null;
  }

  /** The same for several fields. */
  hashGetMany(key: string, fields: readonly string[]): Array<string | null> {
    const hash = this.#hash(key);
    return fields.map((field) => hash?.get(field) ?? null);
  }

  hashSet(key: string, fields: Readonly<Record<string, string>>): void {
    this.#write(true);
    let hash = this.#hash(key);
    if (!hash) {
      hash = new Map();
      this.#slots.set(key, { value: hash, expiresAt: Infinity });
    }
    for (const field in fields) hash.set(field, fields[field] as string);
  }

  hashDelete(key: string, field: string): void {
    this.#write(false);
    this.#hash(key)?.delete(field);
  }

  /** Adds to a stream. The real trimming is approximate; here it is exact, which loses entries sooner. */
  streamAdd(key: string, seq: number, body: string, limit: number): void {
    this.#write(true);
    const entries = this.#stream(key);
    if (entries.length > 0 && seq <= (entries.at(-1) as StreamEntry).seq) {
      throw new ReplyError("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    }
    entries.push({ seq, body });
    if (entries.length > limit) entries.splice(0, entries.length - limit);
    if (!this.#find(key)) this.#slots.set(key, { value: entries, expiresAt: Infinity });
  }

  streamRange(key: string, from: number, count: number): readonly StreamEntry[] {
    return this.#stream(key)
      .filter((entry) => entry.seq >= from)
      .slice(0, count);
  }

  publish(channel: string, text: string): void {
    this.watcher?.hear(channel, text);
    if (this.onChange) this.#published.push({ channel, text });
    this.push(channel, text);
    for (const peer of this.peers) peer.push(channel, text);
  }

  /** Hands a publication to those who subscribe here. */
  push(channel: string, text: string): void {
    for (const subscriber of this.#subscribers.get(channel) ?? []) {
      this.pushed += 1;
      subscriber.hear(channel, text);
    }
  }

  subscribe(channel: string, subscriber: Subscriber): void {
    const subscribers = this.#subscribers.get(channel) ?? new Set();
    this.#subscribers.set(channel, subscribers.add(subscriber));
  }

  unsubscribe(channel: string, subscriber: Subscriber): void {
    this.#subscribers.get(channel)?.delete(subscriber);
  }

  /** Loses one key, as an eviction does. */
  evict(key: string): void {
    this.#slots.delete(key);
  }

  /** The names of the keys that are there. */
  keys(): string[] {
    return [...this.#slots.keys()].filter((key) => this.#find(key) !== undefined);
  }

  /** FLUSHALL. */
  flush(): void {
    this.#slots.clear();
  }

  /** Spoils one byte of a string. */
  corrupt(key: string, at: number, bits: number): void {
    const slot = this.#find(key);
    if (!slot || !Buffer.isBuffer(slot.value) || slot.value.length === 0) return;
    const spoiled = Buffer.from(slot.value);
    const index = at % spoiled.length;
    spoiled[index] = (spoiled[index] as number) ^ bits;
    slot.value = spoiled;
  }

  /** A copy of all data, as a dump or a replica that lags would have it. */
  snapshot(): Snapshot {
    return new Map([...this.#slots].map(([key, slot]) => [key, { ...slot, value: copyOf(slot.value) }]));
  }

  /** Another server takes over with the data of a snapshot: its own run id, and nobody subscribed. */
  restartFrom(snapshot: Snapshot): void {
    this.#runs += 1;
    this.load(snapshot);
    this.#subscribers.clear();
  }

  /** Has the data of a snapshot instead of its own. */
  load(snapshot: Snapshot): void {
    this.#slots.clear();
    for (const [key, slot] of snapshot) this.#slots.set(key, { ...slot, value: copyOf(slot.value) });
  }

  /** Begins with the data of a snapshot, in another one's place. */
  succeed(former: SimulatedRedis, snapshot: Snapshot): void {
    this.load(snapshot);
    this.watcher = former.watcher;
    this.skewMs = former.skewMs;
    this.peers = former.peers;
    for (const peer of this.peers) peer.peers = peer.peers.map((other) => (other === former ? this : other));
    former.peers = [];
  }

  #find(key: string): Slot | undefined {
    const slot = this.#slots.get(key);
    if (slot && slot.expiresAt !== Infinity && slot.expiresAt <= this.now) {
      this.#slots.delete(key);
      return undefined;
    }
    return slot;
  }

  #hash(key: string): Map<string, string> | undefined {
    const value = this.#find(key)?.value;
    if (value === undefined || value instanceof Map) return value;
    throw new ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  #stream(key: string): StreamEntry[] {
    const value = this.#find(key)?.value ?? [];
    if (Array.isArray(value)) return value;
    throw new ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  #write(needsMemory: boolean): void {
    if (this.writeRefusal !== undefined) throw new ReplyError(this.writeRefusal);
    if (this.isFull && needsMemory && !this.#hasWritten) throw new ReplyError("OOM command not allowed when used memory > 'maxmemory'");
    this.#hasWritten = true;
  }
}

function copyOf(value: Slot["value"]): Slot["value"] {
  if (value instanceof Map) return new Map(value);
  return Array.isArray(value) ? [...value] : value;
}
