/** A value as the simulated database gives it. */
export interface VersionedValue {
  readonly key: string;
  /** How many writes of the key came before: a later value has a greater one. */
  readonly version: number;
  /** When the loader that made it answered, or `set` was called with it, in virtual milliseconds: its time to live counts from there. */
  readonly at: number;
}

/** What the oracle holds everyone to. */
export interface Promises {
  /** The caches' own bound, in milliseconds. */
  readonly maxStalenessMs: number;
  /** The schedule's time to live in milliseconds. */
  readonly ttlMs: number;
  /** In which lane a key's invalidations are told. */
  readonly laneOf: (key: string) => string | undefined;
  /** A second tier on another server than the bus's. What a process hears then counts from when the tier has dropped it, for it may read there. @default none */
  readonly store?: {
    /** It is never there: nobody reads anything in it. */
    readonly isAbsent: boolean;
    /** Whether nobody reaches it now: what is heard meanwhile counts until it is back. */
    isAway(): boolean;
  };
}

/** An invalidation that was called and is not known to be done. */
interface OpenCall {
  readonly versions: ReadonlyMap<string, number>;
}

interface Problem {
  readonly kind: string;
  readonly text: string;
}

/** A read under way: what it may not fall below. */
export interface ReadTicket {
  readonly process: number;
  readonly key: string;
  /** Virtual milliseconds. */
  readonly startedAt: number;
  /** The oldest version that the read may give. */
  readonly floor: number;
  /** The same for as long as a second tier on a server of its own is away. @default 0 */
  readonly floorWhileAway?: number;
}

/**
 * Milliseconds that a value may be under way between the instant at which a tier judged it and the one at which its caller has it: a cache's
 * budget for its second tier.
 */
const TRANSIT_MS = 51;

/**
 * The database, and the judge. Every key has a version that only grows. A read must not give less than
 * - what the same process had invalidated before the read began, Redis up or down (I1);
 * - what a message had told the process (I2);
 * - what had been invalidated in Redis longer ago than `maxStalenessMs` (I3), by whomever.
 * That also covers I4: a late fill shows as a read that falls below one of these.
 *
 * These hold for the instant at which a read begins. A load may run long after that: what it gives at last was read from the database since
 * the call, or since that of the load it joined. Whatever else the call gives, such as the stale value when the load has failed, is served
 * at its end and judged by that instant: by I3, and where its time to live was over, so that only a stale policy can have given it, by I1
 * and I2 too. And nothing is given past its time to live and the stale window that the call asked for (I16).
 *
 * An invalidation of a tag, a pattern or all is told once in every lane, and each of its messages stands for that lane's keys alone.
 */
export class CoherenceOracle {
  readonly violations: string[] = [];
  readonly #promises: Promises;
  readonly #database: Map<string, number> = new Map();
  /** Per process and key: what it has itself dropped or been told of. */
  readonly #own: Map<number, Map<string, number>> = new Map();
  /** Per key: what took effect in Redis, in that order. */
  readonly #executed: Map<string, Array<{ readonly version: number; readonly at: number }>> = new Map();
  readonly #open: Map<string, OpenCall[]> = new Map();
  /** By the message's text: what it stands for, where it was published. */
  readonly #published: Map<string, Array<{ readonly channel: string; readonly versions: ReadonlyMap<string, number> }>> = new Map();
  /** By whom and of what: when it was last told. */
  readonly #toldAt: Map<string, number> = new Map();
  readonly #durable: Map<string, number> = new Map();
  /** What a second tier on a server of its own has dropped. */
  readonly #stored: Map<string, number> = new Map();
  /** Per process and key: what it has been told while that tier was away. */
  readonly #ownWhileAway: Map<number, Map<string, number>> = new Map();

  constructor(promises: Promises) {
    this.#promises = promises;
  }

  /** What the database holds now. @param at when whoever asks will have it */
  read(key: string, at: number): VersionedValue {
    return { key, version: this.#database.get(key) ?? 0, at };
  }

  /** Commits a new version of each key. @returns the versions */
  commit(keys: readonly string[]): ReadonlyMap<string, number> {
    return new Map(
      keys.map((key) => {
        const version = (this.#database.get(key) ?? 0) + 1;
        this.#database.set(key, version);
        return [key, version];
      }),
    );
  }

  /** An invalidation is called: `name` says by whom and of what, as its message will. */
  onCall(name: string, versions: ReadonlyMap<string, number>): void {
    const calls = this.#open.get(name) ?? [];
    calls.push({ versions });
    this.#open.set(name, calls);
  }

  /** The call came back. @param isPropagated what it said */
  onReturn(process: number, name: string, versions: ReadonlyMap<string, number>, isPropagated: boolean): void {
    for (const [key, version] of versions) {
      raiseOf(this.#own, process, key, version);
      if (isPropagated) raise(this.#durable, key, version);
    }
    const calls = this.#open.get(name) ?? [];
    const index = calls.findIndex((call) => call.versions === versions);
    // A later call that succeeded covers the earlier ones, whose own effect may still be to come.
    if (isPropagated && index >= 0) calls.splice(0, index + 1);
  }

  /** The calls of a process that will never be made again. */
  onCrash(process: number): void {
    this.#own.delete(process);
    this.#ownWhileAway.delete(process);
    for (const name of [...this.#open.keys()]) if (name.startsWith(`${process} `)) this.#open.delete(name);
  }

  /**
   * A message was published: it stands for the earliest call that is still open, or more.
   * @param lane whose keys it stands for; `undefined` = all
   */
  onPublish(name: string, lane: string | undefined, message: { readonly channel: string; readonly text: string }, now: number): void {
    this.#toldAt.set(name, now);
    const call = this.#open.get(name)?.[0];
    if (!call) return;
    const versions = this.#within(lane, call.versions);
    const { channel, text } = message;
    // The same text comes again where places are counted anew: the latest one counts.
    const others = (this.#published.get(text) ?? []).filter((other) => other.channel !== channel);
    this.#published.set(text, [...others, { channel, versions }]);
    for (const [key, version] of versions) {
      if (!this.#hasStored(key, version)) continue;
      const done = this.#executed.get(key);
      if (done) done.push({ version, at: now });
      else this.#executed.set(key, [{ version, at: now }]);
      raise(this.#durable, key, version);
    }
  }

  /** A second tier on a server of its own has dropped what the earliest call that is still open stands for. */
  onStored(name: string, lane: string | undefined): void {
    const call = this.#open.get(name)?.[0];
    if (call) for (const [key, version] of this.#within(lane, call.versions)) raise(this.#stored, key, version);
  }

  /** A message has been handed to a process. */
  onDelivered(process: number, channel: string, text: string): void {
    for (const published of this.#published.get(text) ?? []) {
      if (published.channel !== channel) continue;
      for (const [key, version] of published.versions) {
        if (this.#hasStored(key, version)) raiseOf(this.#own, process, key, version);
        else if (this.#isStoreAway) raiseOf(this.#ownWhileAway, process, key, version);
      }
    }
  }

  startRead(process: number, key: string, now: number): ReadTicket {
    const floor = Math.max(this.#ownFloor(process, key), this.#servableFloor(key, now));
    const floorWhileAway = this.#isStoreAway ? (this.#ownWhileAway.get(process)?.get(key) ?? 0) : 0;
    return { process, key, startedAt: now, floor, floorWhileAway };
  }

  /** @param staleMs milliseconds past its time to live for which the call takes a value */
  finishRead(ticket: ReadTicket, value: unknown, now: number, what: string, staleMs: number = 0): void {
    if (value === undefined) return;
    const problem = this.#judge(ticket, value, now, staleMs);
    if (problem === undefined) return;
    const where = `process ${ticket.process}, ${what} of ${ticket.key} from ${ticket.startedAt.toFixed(3)} to ${now.toFixed(3)}`;
    this.violations.push(`${problem.kind} ${where}: ${problem.text}`);
  }

  #judge(ticket: ReadTicket, value: unknown, now: number, staleMs: number): Problem | undefined {
    const found = value as Partial<VersionedValue> | null;
    const isValue = found !== null && typeof found === "object" && found.key === ticket.key;
    if (!isValue || typeof found.version !== "number" || typeof found.at !== "number") {
      return { kind: "I10", text: `answered ${JSON.stringify(value)}` };
    }
    const { version, at } = found;
    const floor = this.#isStoreAway ? Math.max(ticket.floor, ticket.floorWhileAway ?? 0) : ticket.floor;
    if (version < floor) return { kind: "stale", text: `version ${version}, at least ${floor} was promised` };
    if (version > (this.#database.get(ticket.key) ?? 0)) return { kind: "invented", text: `version ${version} was never committed` };
    return at < now ? this.#judgeServing(ticket, version, now, { overMs: now - at - this.#promises.ttlMs, staleMs }) : undefined;
  }

  /** Judges by the instant at which it is served what no load has given right now. */
  #judgeServing(
    { process, key }: ReadTicket,
    version: number,
    now: number,
    { overMs, staleMs }: { readonly overMs: number; readonly staleMs: number },
  ): Problem | undefined {
    if (overMs > staleMs + TRANSIT_MS) {
      return { kind: "I16", text: `${overMs.toFixed(1)} ms past its time to live, at most ${staleMs} were asked for` };
    }
    const isByPolicy = overMs > TRANSIT_MS;
    const floor = isByPolicy
      ? Math.max(this.#ownFloor(process, key), this.#servableFloor(key, now))
      : this.#servableFloor(key, now - TRANSIT_MS);
    return version < floor ? { kind: "stale", text: `version ${version} served, at least ${floor} was promised by then` } : undefined;
  }

  /** Whether an invalidation has been told since an instant, by whom and of what it was called. */
  wasTold(name: string, since: number): boolean {
    return (this.#toldAt.get(name) ?? -Infinity) >= since;
  }

  /** What every process must have come to when all is healed. */
  durable(key: string): number {
    return this.#durable.get(key) ?? 0;
  }

  /** Whether all of it has taken effect in Redis. */
  isDurable(versions: ReadonlyMap<string, number>): boolean {
    for (const [key, version] of versions) if (this.durable(key) < version) return false;
    return true;
  }

  /** What a live process has been told was not propagated must be so once all is healed. */
  expectDurable(versions: ReadonlyMap<string, number>): void {
    for (const [key, version] of versions) raise(this.#durable, key, version);
  }

  /** What a process has itself dropped or been told of. */
  #ownFloor(process: number, key: string): number {
    return this.#own.get(process)?.get(key) ?? 0;
  }

  /** What had been invalidated in Redis too long ago to be served at an instant. */
  #servableFloor(key: string, now: number): number {
    let floor = 0;
    for (const done of this.#executed.get(key) ?? []) {
      if (done.at + this.#promises.maxStalenessMs >= now) break;
      floor = Math.max(floor, done.version);
    }
    return floor;
  }

  #within(lane: string | undefined, versions: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    if (lane === undefined) return versions;
    const { laneOf } = this.#promises;
    return new Map([...versions].filter(([key]) => laneOf(key) === lane));
  }

  get #isStoreAway(): boolean {
    return this.#promises.store?.isAway() === true;
  }

  /** Whether nobody can read anything older in the second tier: where that is on the bus's server, its scripts drop before they publish. */
  #hasStored(key: string, version: number): boolean {
    const { store } = this.#promises;
    return store === undefined || store.isAbsent || (this.#stored.get(key) ?? 0) >= version;
  }
}

function raiseOf(owned: Map<number, Map<string, number>>, process: number, key: string, version: number): void {
  let floors = owned.get(process);
  if (!floors) {
    floors = new Map();
    owned.set(process, floors);
  }
  raise(floors, key, version);
}

function raise(floors: Map<string, number>, name: string, version: number): void {
  if (version > (floors.get(name) ?? 0)) floors.set(name, version);
}
