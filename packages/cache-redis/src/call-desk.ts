import type { CancelTimer, Clock } from "@larder/cache-core";
import { type CallFailure, toCallFailure } from "./call-failure.ts";

/** Two passes over what is due are this far apart at least, in milliseconds. */
const SWEEP_GAP_MS = 2;
/** The shortest timer: by the time it fires, sockets have been read once. */
const ONE_TURN_MS = 1;
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

/** Who learns of every call's outcome, before its caller does. */
export interface CallObserver {
  observe(failure: CallFailure | undefined): void;
}

/** One connection's life. Calls of an earlier one no longer count: some are never answered, and never will be. */
interface Connection {
  inFlight: number;
  bytes: number;
}

/** A call on its way. Told of once, by its reply or by its deadline, whichever comes first. */
export class PendingCall<T> {
  readonly dueAt: number;
  // Neighbours in the desk's ring: taking a call out of the middle costs two assignments, where a Set costs a hash.
  previous: PendingCall<never> = this as PendingCall<never>;
  next: PendingCall<never> = this as PendingCall<never>;
  readonly #connection: Connection;
  readonly #bytes: number;
  readonly #observer: CallObserver | undefined;
  #done: CallDone<T> | undefined;

  constructor(connection: Connection, bytes: number, dueAt: number, done: CallDone<T> | undefined, observer: CallObserver | undefined) {
    this.#connection = connection;
    this.#bytes = bytes;
    this.#done = done;
    this.#observer = observer;
    this.dueAt = dueAt;
  }

  /** Whether its caller has been told. */
  get isOver(): boolean {
    return this.#done === undefined;
  }

  /** The server has answered, or never will: once a call. */
  settle(failure: CallFailure | undefined, reply: T | undefined): void {
    this.#connection.inFlight -= 1;
    this.#connection.bytes -= this.#bytes;
    this.end(failure, reply);
  }

  /** Tells the caller without waiting any longer. The server may still answer: until then the call counts as under way. */
  end(failure: CallFailure | undefined, reply: T | undefined): void {
    const done = this.#done;
    if (done === undefined) return;
    this.#done = undefined;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.#observer?.observe(failure);
    done(failure, reply);
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
  /** The head of the ring of calls whose callers wait; no call itself. */
  readonly #ring: PendingCall<never> = new PendingCall<never>({ inFlight: 0, bytes: 0 }, 0, Infinity, undefined, undefined);
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
  watch<T>(reply: Promise<T>, bytes: number, timeoutMs: number, done: CallDone<T>, observer?: CallObserver): void {
    const call = this.open(bytes, timeoutMs, done, observer);
    reply.then(
      (answer) => call.settle(undefined, answer),
      (error: unknown) => call.settle(toCallFailure(error), undefined),
    );
  }

  /** A call that is about to be sent, under the same watch. Whoever sends it settles it, whatever happens. */
  open<T>(bytes: number, timeoutMs: number, done: CallDone<T>, observer?: CallObserver): PendingCall<T> {
    const dueAt = this.#options.clock.now() + timeoutMs;
    const connection = this.#connection;
    connection.inFlight += 1;
    connection.bytes += bytes;
    const call = new PendingCall<T>(connection, bytes, dueAt, done, observer);
    this.#append(call as PendingCall<never>);
    if (dueAt < this.#sweepAt) this.#sweepAgainAt(dueAt);
    return call;
  }

  /** The connection is gone: ends every call and forgets what was under way on it. */
  drop(): void {
    this.#connection = { inFlight: 0, bytes: 0 };
    this.endAll();
  }

  /**
   * Tells all callers that their calls are lost: who answers them from now on may be another server than the one that was asked. They count as under way
   * until they are answered.
   */
  endAll(): void {
    for (const call of this.#waiting()) call.end(LOST, undefined);
  }

  /** Ends every call and the timer. */
  close(): void {
    this.#cancelSweep?.();
    this.drop();
  }

  #append(call: PendingCall<never>): void {
    const last = this.#ring.previous;
    call.previous = last;
    call.next = this.#ring;
    last.next = call;
    this.#ring.previous = call;
  }

  #waiting(): PendingCall<never>[] {
    const calls: PendingCall<never>[] = [];
    for (let call = this.#ring.next; call !== this.#ring; call = call.next) calls.push(call);
    return calls;
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
    for (const call of this.#waiting()) {
      if (call.dueAt > now) next = Math.min(next, call.dueAt);
      else if (due) due.push(call);
      else due = [call];
    }
    if (due) this.#options.clock.setTimer(() => this.#endDue(due), ONE_TURN_MS);
    if (next === Infinity) this.#sweepAt = Infinity;
    else this.#sweepAgainAt(next);
  }

  #endDue(due: ReadonlyArray<PendingCall<never>>): void {
    for (const call of due) call.end(TIMEOUT, undefined);
  }
}
