/** A value as the simulated database gives it. */
export interface VersionedValue {
  readonly key: string;
  readonly version: number;
}

/** An invalidation that was called and is not known to be done. */
interface OpenCall {
  readonly versions: ReadonlyMap<string, number>;
}

/** A read under way: what it may not fall below. */
export interface ReadTicket {
  readonly process: number;
  readonly key: string;
  readonly startedAt: number;
  readonly floor: number;
}

/**
 * The database, and the judge. Every key has a version that only grows. A read must not give less than
 * - what the same process had invalidated before the read began, Redis up or down (I1);
 * - what a message had told the process (I2);
 * - what had been invalidated in Redis longer ago than `maxStalenessMs` (I3), by whomever.
 * That also covers I4: a late fill shows as a read that falls below one of these.
 */
export class CoherenceOracle {
  readonly violations: string[] = [];
  readonly #maxStalenessMs: number;
  readonly #database: Map<string, number> = new Map();
  /** Per process and key: what it has itself dropped or been told of. */
  readonly #own: Map<number, Map<string, number>> = new Map();
  /** Per key: what took effect in Redis, in that order. */
  readonly #executed: Map<string, Array<{ readonly version: number; readonly at: number }>> = new Map();
  readonly #open: Map<string, OpenCall[]> = new Map();
  readonly #published: Map<string, ReadonlyMap<string, number>> = new Map();
  readonly #durable: Map<string, number> = new Map();

  constructor(maxStalenessMs: number) {
    this.#maxStalenessMs = maxStalenessMs;
  }

  /** What the database holds now. */
  read(key: string): VersionedValue {
    return { key, version: this.#database.get(key) ?? 0 };
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
      this.#raiseOwn(process, key, version);
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
    for (const name of [...this.#open.keys()]) if (name.startsWith(`${process} `)) this.#open.delete(name);
  }

  /** A message was published: it stands for the earliest call that is still open, or more. */
  onPublish(name: string, place: string, now: number): void {
    const call = this.#open.get(name)?.[0];
    if (!call) return;
    this.#published.set(place, call.versions);
    for (const [key, version] of call.versions) {
      const done = this.#executed.get(key);
      if (done) done.push({ version, at: now });
      else this.#executed.set(key, [{ version, at: now }]);
      raise(this.#durable, key, version);
    }
  }

  /** A message has been handed to a process. */
  onDelivered(process: number, place: string): void {
    const versions = this.#published.get(place);
    if (versions) for (const [key, version] of versions) this.#raiseOwn(process, key, version);
  }

  startRead(process: number, key: string, now: number): ReadTicket {
    let floor = this.#own.get(process)?.get(key) ?? 0;
    for (const done of this.#executed.get(key) ?? []) {
      if (done.at + this.#maxStalenessMs >= now) break;
      floor = Math.max(floor, done.version);
    }
    return { process, key, startedAt: now, floor };
  }

  finishRead(ticket: ReadTicket, value: unknown, now: number, what: string): void {
    if (value === undefined) return;
    const problem = this.#judge(ticket, value);
    if (problem === undefined) return;
    const where = `process ${ticket.process}, ${what} of ${ticket.key} from ${ticket.startedAt.toFixed(3)} to ${now.toFixed(3)}`;
    this.violations.push(`${problem.kind} ${where}: ${problem.text}`);
  }

  #judge(ticket: ReadTicket, value: unknown): { readonly kind: string; readonly text: string } | undefined {
    const found = value as Partial<VersionedValue> | null;
    if (found === null || typeof found !== "object" || found.key !== ticket.key || typeof found.version !== "number") {
      return { kind: "I10", text: `answered ${JSON.stringify(value)}` };
    }
    if (found.version < ticket.floor) return { kind: "stale", text: `version ${found.version}, at least ${ticket.floor} was promised` };
    if (found.version <= (this.#database.get(ticket.key) ?? 0)) return undefined;
    return { kind: "invented", text: `version ${found.version} was never committed` };
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

  #raiseOwn(process: number, key: string, version: number): void {
    let floors = this.#own.get(process);
    if (!floors) {
      floors = new Map();
      this.#own.set(process, floors);
    }
    raise(floors, key, version);
  }
}

function raise(floors: Map<string, number>, name: string, version: number): void {
  if (version > (floors.get(name) ?? 0)) floors.set(name, version);
}
