import type { Clock, KeySpace, RandomSource, Version } from "@larder/cache-core";
import { Breaker, type BreakerState } from "./breaker.ts";
import type { CallDesk, CallDone, CallObserver } from "./call-desk.ts";
import { type CallFailure, isUnusable, toCallFailure } from "./call-failure.ts";
import { type Judge, LaneVersions } from "./lane-versions.ts";
import { ReadBatch } from "./read-batch.ts";
import type { RedisPort } from "./redis-port.ts";
import { check, type RedisScript, readRecord } from "./scripts.ts";
import { ServerTime } from "./server-time.ts";

/** How long a check may take at least, in milliseconds: nobody waits for it, and after a stall it stands behind what was sent before. */
const CHECK_TIMEOUT_MS = 250;
/** How old a check may be while the lane is in use. It bounds how long a server that was swapped behind an open connection goes unnoticed. */
const CHECK_EVERY_MS = 1_000;
/** The same, while there is doubt: no proof on the bus, a version that went backwards, a bus that speaks of another epoch. */
const CHECK_IN_DOUBT_MS = 250;
const RECORD_FIELDS: readonly string[] = ["epoch", "seq", "clearedAt", "taggedAt", "patterns"];
const BYPASSED: CallFailure = { kind: "bypassed", word: "" };
const DOWN: CallFailure = { kind: "down", word: "" };
const BUSY: CallFailure = { kind: "busy", word: "" };
/** Somebody has a transaction open on the client: the call waits for its end, or is thrown away with it. */
const QUEUED: CallFailure = { kind: "lost", word: "QUEUED" };

/** What a lane works with. */
export interface LaneOptions {
  readonly port: RedisPort;
  readonly desk: CallDesk;
  readonly keySpace: KeySpace;
  /** Its number among the lanes, from 0: part of its keys' hash tag. */
  readonly index: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Calls in a row without an answer that open its breaker, integer >= 1. */
  readonly failureThreshold: number;
  /** Milliseconds > 0 that a write may wait. */
  readonly writeTimeoutMs: number;
  readonly onState: (state: BreakerState) => void;
}

/** Something was told, or not, about the lane's record, that a whole batch of reads waits for. */
type JudgeDone = (judge: Judge | undefined) => void;

/**
 * One lane of the cache: on a cluster it lives in one slot, and so on one server, which is reached or not, up to date or not, by itself.
 * Every call passes its breaker and its desk; nothing else of the tier talks to the port about keys.
 *
 * A lane is used only after the check has run on the present connection. The check compares the server's run id with the one that the
 * record belongs to, and the record's seq with what this process has been acknowledged. A restart from an old dump or a failover to a
 * replica that lagged is thus noticed before anything is served from it, and moves the epoch, which voids every entry at once. Who could
 * have noticed and is gone as well leaves the time to live as the bound.
 */
export class Lane implements CallObserver {
  readonly versions: LaneVersions;
  readonly time: ServerTime = new ServerTime();
  readonly #options: LaneOptions;
  readonly #keys: readonly [record: string, log: string];
  readonly #breaker: Breaker;
  readonly #reads: ReadBatch;
  /** Those who wait for the record that this turn's batch reads; `undefined` when none is on its way for this turn. */
  #waiting: JudgeDone[] | undefined;
  /** What the last check on this connection failed with. */
  #trouble = "";
  #checkedAt = -Infinity;
  /** When it is asked again whether there is doubt: every read asks for the check. */
  #doubtAt = -Infinity;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#keys = [options.keySpace.record(options.index), options.keySpace.log(options.index)];
    this.versions = new LaneVersions(options.index);
    const { port, desk } = options;
    const fetchOne = port.get?.bind(port);
    this.#reads = new ReadBatch({
      fetch: (keys, isLone) => {
        port.batch(isLone ? 0 : 1);
        return port.getMany(keys);
      },
      fetchOne:
        fetchOne &&
        ((key) => {
          port.batch(0);
          return fetchOne(key);
        }),
      inFlight: () => desk.inFlight,
      toFailure: toCallFailure,
    });
    this.#breaker = new Breaker({
      clock: options.clock,
      random: options.random,
      failureThreshold: options.failureThreshold,
      check: () => this.#check(),
      onChange: options.onState,
    });
  }

  get index(): number {
    return this.#options.index;
  }

  get state(): BreakerState {
    return this.#breaker.state;
  }

  /** Whether calls are sent. */
  get isOpen(): boolean {
    return this.#breaker.state === "closed";
  }

  /** What the last check failed with, as `WRONGPASS` or `timeout`; where there is no connection, what that failed with. Empty when nobody said. */
  get trouble(): string {
    const { port } = this.#options;
    return port.isReady ? this.#trouble : (port.trouble ?? "");
  }

  connect(): void {
    this.#trouble = "";
    this.#breaker.connect();
  }

  disconnect(): void {
    this.#breaker.disconnect();
  }

  /** The value under a key, read together with the others of this turn. The caller has asked `isOpen`. */
  get(key: string, timeoutMs: number, done: CallDone<Buffer | null>): void {
    const { desk } = this.#options;
    if (desk.hasRoom(0)) this.#reads.add(key, desk.open(0, timeoutMs, done, this));
    else done(BUSY, undefined);
  }

  /** MGET of keys of this lane. */
  getMany(keys: readonly string[], timeoutMs: number, done: CallDone<ReadonlyArray<Buffer | null>>): void {
    this.#send(() => this.#options.port.getMany(keys), 0, timeoutMs, done);
  }

  /** Runs a script. @throws {CallFailure} in any case of trouble */
  run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>, timeoutMs: number): Promise<unknown> {
    return this.isOpen ? this.#run(script, keys, args, timeoutMs) : Promise.reject(this.#options.port.isReady ? BYPASSED : DOWN);
  }

  /**
   * Tells by what entries are judged now: from the record, read once for all calls of this turn. Where there is a channel that cannot tell, a script reads
   * it, which begins with a write: a master that was demoted answers reads, and old ones, while others go on with another one, and what the channel
   * has heard of them it will not hear again (found by the simulator: `second-tier-still-at-the-demoted.json`).
   */
  judge(timeoutMs: number, done: JudgeDone): void {
    const { port, keySpace, index } = this.#options;
    if (this.#waiting) {
      this.#waiting.push(done);
      return;
    }
    const waiting: JudgeDone[] = [done];
    this.#waiting = waiting;
    process.nextTick(() => this.endTurn(waiting));
    // An MGET follows in this turn for certain: the two leave together.
    port.batch(1);
    const { known, hasChannel } = this.versions;
    const read = (): Promise<unknown> =>
      hasChannel ? port.run(readRecord, [keySpace.record(index)], []) : port.fields(keySpace.record(index), RECORD_FIELDS);
    this.#send(read, 0, timeoutMs, (_, reply) => {
      this.endTurn(waiting);
      const found = Array.isArray(reply) ? this.versions.fromReply(reply.map(toText), known) : undefined;
      for (const tell of waiting) tell(found);
    });
  }

  /** Asks whether the server still answers, whatever it says; an answer that does not come counts for the breaker as that of any call. */
  ask(timeoutMs: number, done: (isAnswering: boolean) => void): void {
    const { port, keySpace, index } = this.#options;
    if (!this.isOpen) {
      done(false);
      return;
    }
    this.#send(
      () => port.fields(keySpace.record(index), ["epoch"]),
      0,
      timeoutMs,
      (failure) => done(failure?.kind !== "timeout"),
    );
  }

  /** Later calls read the record anew: this turn is over, or it saw an invalidation that the read under way may not show. */
  endTurn(waiting?: unknown): void {
    if (waiting === undefined || this.#waiting === waiting) this.#waiting = undefined;
  }

  /** Checks the server again, behind the calls, when the last check is too old. */
  refresh(): void {
    const now = this.#options.clock.now();
    if (now < this.#doubtAt || !this.isOpen) return;
    this.#doubtAt = now + CHECK_IN_DOUBT_MS;
    if (now - this.#checkedAt < CHECK_EVERY_MS && !this.#isInDoubt(now)) return;
    this.#checkedAt = now;
    // A failure has been counted by the breaker, as that of any call.
    this.#check().catch(() => {});
  }

  /**
   * Whether the bus's channel speaks of the record that this lane's server has, as far as both have told. If not, the server is asked again:
   * one of the two may not know of a new epoch yet, or they may be on different servers or databases.
   */
  isOnChannel(): boolean {
    if (this.versions.isOnChannel || !this.isOpen) return true;
    this.refresh();
    return false;
  }

  #isInDoubt(now: number): boolean {
    const { versions } = this;
    return versions.isSuspect || !versions.isOnChannel || versions.isBlind(now);
  }

  /** The server's time so many milliseconds from now, rather too early: the deadline for an effect that a caller waits for this long. */
  serverTime(afterMs: number): string {
    return String(Math.floor(this.time.earliest(this.#options.clock.now()) + afterMs));
  }

  /** The same, rather too late: for an effect that does no harm when it comes after its caller has given up, and is missed when it is refused in vain. */
  latestServerTime(afterMs: number): string {
    return String(Math.ceil(this.time.latest(this.#options.clock.now()) + afterMs));
  }

  #send<T>(start: () => Promise<T>, bytes: number, timeoutMs: number, done: CallDone<T>): void {
    const { desk, port } = this.#options;
    if (!desk.hasRoom(bytes)) {
      done(BUSY, undefined);
      return;
    }
    port.batch(desk.inFlight);
    let reply: Promise<T>;
    try {
      reply = start();
    } catch (error) {
      done(toCallFailure(error), undefined);
      return;
    }
    desk.watch(reply, bytes, timeoutMs, done, this);
  }

  /** Takes in how a call of this lane ended. */
  observe(failure: CallFailure | undefined): void {
    if (failure === undefined) this.#breaker.succeed();
    else if (failure.kind === "timeout") this.#breaker.fail();
    else if (isUnusable(failure)) this.#leaveServer(failure);
    else if (failure.kind !== "lost") this.#breaker.succeed();
  }

  #leaveServer(failure: CallFailure): void {
    // A replica stays one: only a new connection finds the master, or the next one, as long as its address still leads here. Its checks' pauses pace them.
    const isLeft = failure.word === "READONLY" && (this.isOpen || this.#trouble === failure.word);
    if (this.#breaker.state !== "half-open") this.#breaker.trip();
    if (isLeft) this.#options.port.reconnect();
  }

  async #check(): Promise<void> {
    try {
      const regressed = await this.#readState();
      // The server lost invalidations that it had acknowledged to us: a new epoch, unless somebody has begun one already.
      if (regressed !== undefined) await this.#readState(regressed);
      this.#trouble = "";
    } catch (failure) {
      const { word, kind = "" } = failure as Partial<CallFailure>;
      this.#trouble = word || kind;
      throw failure;
    }
  }

  /** @returns the epoch that nothing can be judged by any more, because its seq or the server's clock went backwards, if that is so */
  async #readState(voided = ""): Promise<string | undefined> {
    const { random, clock, writeTimeoutMs } = this.#options;
    // Who lets writes wait for longer has a server that is farther away.
    const checkTimeoutMs = Math.max(CHECK_TIMEOUT_MS, writeTimeoutMs);
    this.#checkedAt = clock.now();
    const sentAt = clock.now();
    const { known } = this.versions;
    const reply = (await this.#run(check, this.#keys, [random.token(), "PUBLISH", "", "", voided], checkTimeoutMs)) as unknown[];
    const state = reply.map(toText);
    const version: Version = { epoch: String(state[0]), seq: Number(state[1]) };
    const sample = [Number(state[5]), sentAt, clock.now()] as const;
    // The offset that entries were judged by stands until they are void. In an epoch that is new to us they are already.
    if (version.epoch === this.versions.epoch && this.time.wasSetBack(...sample)) return version.epoch;
    this.time.learn(...sample);
    return this.versions.see(version, known) ? version.epoch : undefined;
  }

  /** Runs a script whatever the breaker's state. */
  #run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>, timeoutMs: number): Promise<unknown> {
    let bytes = 0;
    for (const argument of args) if (typeof argument === "object") bytes += argument.length;
    return new Promise((resolve, reject) => {
      this.#send(
        () => this.#options.port.run(script, keys, args),
        bytes,
        timeoutMs,
        (failure, reply) => {
          if (failure) reject(failure);
          else if (isQueued(reply)) reject(QUEUED);
          else resolve(reply);
        },
      );
    });
  }
}

function isQueued(reply: unknown): boolean {
  return !Array.isArray(reply) && toText(reply) === "QUEUED";
}

/** Text that a client gave as bytes. */
export function toText(value: unknown): unknown {
  return Buffer.isBuffer(value) ? value.toString("utf8") : value;
}
