import type { CancelTimer, Clock } from "@larder/cache-core";
import { type CallFailure, toCallFailure } from "./call-failure.ts";

/** Two passes over what is due are this far apart at least, in milliseconds. */
const SWEEP_GAP_MS = 2;
const LOST: CallFailure = { kind: "lost", word: "" };
const TIMEOUT: CallFailure = { kind: "timeout", word: "" };

/** Bounds of what may be under way at one time. */
export interface CallDeskOptions {
  readonly clock: Clock;
  /** Calls, integer >= 1. */
  readonly maxInFlight: number;
  /** Bytes of values on their way to the server, > 0. */
  readonly maxInFlightBytes: number;
}

/** Told once, with a failure or a reply. */
export type CallDone<T> = (failure: CallFailure | undefined, reply: T | undefined) => void;

/** One connection's life. Calls of an earlier one no longer count: some are never answered, and never will be. */
interface Connection {
  inFlight: number;
  bytes: number;
}

/** A call on its way. Told of once, by its reply or by its deadline, whichever comes first. */
class PendingCall<T> {
  readonly dueAt: number;
  readonly #pending: Set<PendingCall<never>>;
  readonly #connection: Connection;
  readonly #bytes: number;
  #done: CallDone<T> | undefined;

  constructor(pending: Set<PendingCall<never>>, connection: Connection, bytes: number, dueAt: number, done: CallDone<T>) {
    this.#pending = pending;
    this.#connection = connection;
    this.#bytes = bytes;
    this.#done = done;
    this.dueAt = dueAt;
    connection.inFlight += 1;
    connection.bytes += bytes;
    pending.add(this as PendingCall<never>);
  }

  readonly succeed: (reply: T) => void = (reply) => this.#settle()?.(undefined, reply);
  readonly fail: (error: unknown) => void = (error) => this.#settle()?.(toCallFailure(error), undefined);

  /** Tells the caller without waiting any longer. The server may still answer: until then the call counts as under way. */
  end(failure: CallFailure): void {
    this.#leave()?.(failure, undefined);
  }

  #settle(): CallDone<T> | undefined {
    this.#connection.inFlight -= 1;
    this.#connection.bytes -= this.#bytes;
    return this.#leave();
  }

  #leave(): CallDone<T> | undefined {
    const done = this.#done;
    if (done === undefined) return undefined;
    this.#done = undefined;
    this.#pending.delete(this as PendingCall<never>);
    return done;
  }
}

/**
 * Keeps the deadlines of calls and bounds what is under way.
 *
 * A client can reject a call that takes too long, but it must keep it queued until its reply comes, or replies would be matched to the
 * wrong calls. Measured: 100,000 gets against a stalled server left 100,000 commands and 142 MB in the client. So a call counts as under
 * way until its reply has come or its connection is gone, however long ago its caller was told; over the cap new ones fail at once.
 *
 * One timer serves all calls: it is set for the earliest deadline and walks the calls then. What is found due is given one more turn of
 * the event loop, in which replies are read that lay in the socket while this process was busy: they would otherwise all count as too late,
 * because timers run before sockets.
 */
export class CallDesk {
  readonly #options: CallDeskOptions;
  readonly #pending: Set<PendingCall<never>> = new Set();
  #connection: Connection = { inFlight: 0, bytes: 0 };
  #sweepAt = Infinity;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: CallDeskOptions) {
    this.#options = options;
  }

  /** Calls that the server has not answered on this connection. */
  get inFlight(): number {
    return this.#connection.inFlight;
  }

  /** Whether another call of this many bytes may be sent. A value larger than the bound passes when it is alone. */
  hasRoom(bytes: number): boolean {
    const { maxInFlight, maxInFlightBytes } = this.#options;
    const { inFlight, bytes: held } = this.#connection;
    return inFlight < maxInFlight && (bytes === 0 || held === 0 || held + bytes <= maxInFlightBytes);
  }

  /** Watches over a call that was just sent and tells how it ended, within `timeoutMs` milliseconds. Never throws. */
  watch<T>(reply: Promise<T>, bytes: number, timeoutMs: number, done: CallDone<T>): void {
    const dueAt = this.#options.clock.now() + timeoutMs;
    const call = new PendingCall<T>(this.#pending, this.#connection, bytes, dueAt, done);
    if (dueAt < this.#sweepAt) this.#sweepAgainAt(dueAt);
    reply.then(call.succeed, call.fail);
  }

  /** The connection is gone: ends every call and forgets what was under way on it. */
  drop(): void {
    this.#connection = { inFlight: 0, bytes: 0 };
    for (const call of [...this.#pending]) call.end(LOST);
  }

  /** Ends every call and the timer. */
  close(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.drop();
  }

  #sweepAgainAt(dueAt: number): void {
    this.#cancelSweep?.();
    this.#sweepAt = dueAt;
    this.#cancelSweep = this.#options.clock.setTimer(() => this.#lookForDue(), Math.max(SWEEP_GAP_MS, dueAt - this.#options.clock.now()));
  }

  #lookForDue(): void {
    this.#cancelSweep = undefined;
    const now = this.#options.clock.now();
    let next = Infinity;
    let due: PendingCall<never>[] | undefined;
    for (const call of this.#pending) {
      if (call.dueAt > now) next = Math.min(next, call.dueAt);
      else if (due) due.push(call);
      else due = [call];
    }
    if (due) this.#options.clock.setTimer(() => this.#endDue(due), 0);
    if (next === Infinity) this.#sweepAt = Infinity;
    else this.#sweepAgainAt(next);
  }

  #endDue(due: ReadonlyArray<PendingCall<never>>): void {
    for (const call of due) call.end(TIMEOUT);
  }
}
