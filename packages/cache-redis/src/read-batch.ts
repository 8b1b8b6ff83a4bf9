import type { PendingCall } from "./call-desk.ts";
import type { CallFailure } from "./call-failure.ts";

/** Keys in one MGET at most: the server does nothing else meanwhile. */
const MAX_KEYS = 64;
/**
 * Bytes that one MGET is expected to bring at most, so that the first answers of large values need not wait for the last. With half of it,
 * sixteen reads of 64 KB are four batches, each answered and asked for again by itself: 0.83 of plain GETs, and 0.91 with this.
 */
const MAX_BYTES = 524_288;
/** Reads from which on a batch is halved when nothing else is under way: the server works on one half while this process takes in the other. */
const HALVED_FROM = 8;
/** How much the last reply counts in the mean size of values. */
const NEWEST_SHARE = 1 / 8;

/** The client answered with something else, as it does while its user has a transaction open on it. */
const NO_LIST: CallFailure = { kind: "lost", word: "" };

type Read = PendingCall<Buffer | null>;
type Replies = ReadonlyArray<Buffer | null>;

/** What a batch is sent with. */
export interface ReadBatchOptions {
  /** MGET. `isLone`: nothing else leaves in this turn on this lane's account. */
  readonly fetch: (keys: readonly string[], isLone: boolean) => Promise<Replies>;
  /** GET of the only read of this turn. `undefined`: it is fetched as the others are. */
  readonly fetchOne: ((key: string) => Promise<Buffer | null>) | undefined;
  /** Calls that the server has not answered, those of the batch included. */
  readonly inFlight: () => number;
  readonly toFailure: (error: unknown) => CallFailure;
}

/**
 * The reads of one lane in one turn of the event loop, sent together as MGET.
 *
 * What a read costs is the client's work for each command: an object, a promise, a place in its queue, a reply of its own. Single GETs in
 * one write share the write and nothing else; one MGET shares all of it. Measured with 64 reads of 1 KB in flight: plain GET 99k a
 * second, auto-pipelining 141k, GETs in one write 180k, MGET 350k (docs/decisions). All keys of a lane are in one slot, so a cluster takes it too.
 *
 * A read keeps its own deadline and its own outcome: only the way there is shared.
 */
export class ReadBatch {
  readonly #options: ReadBatchOptions;
  #keys: string[] = [];
  #reads: Read[] = [];
  #meanBytes = 0;
  readonly #send = (): void => this.#sendAll();

  constructor(options: ReadBatchOptions) {
    this.#options = options;
  }

  /** Adds a read. It leaves when the running callback is over. */
  add(key: string, read: Read): void {
    if (this.#keys.length === 0) process.nextTick(this.#send);
    this.#keys.push(key);
    this.#reads.push(read);
  }

  #sendAll(): void {
    const keys = this.#keys;
    const reads = this.#reads;
    this.#keys = [];
    this.#reads = [];
    const { fetchOne } = this.#options;
    if (keys.length === 1 && fetchOne) {
      this.#sendOne(fetchOne, keys[0] as string, reads[0] as Read);
      return;
    }
    const size = this.#sizeOfPart(keys.length);
    if (keys.length <= size) {
      this.#sendPart(keys, reads, true);
      return;
    }
    for (let from = 0; from < keys.length; from += size)
      this.#sendPart(keys.slice(from, from + size), reads.slice(from, from + size), false);
  }

  /** One key is cheaper to ask for by GET: its reply is no array. What is of another type is absent here, as in MGET. */
  #sendOne(fetchOne: (key: string) => Promise<Buffer | null>, key: string, read: Read): void {
    const { toFailure } = this.#options;
    const fail = (error: unknown): void => {
      const failure = toFailure(error);
      if (failure.word === "WRONGTYPE") read.settle(undefined, null);
      else read.settle(failure, undefined);
    };
    if (read.isOver) {
      read.settle(undefined, undefined);
      return;
    }
    try {
      fetchOne(key).then((reply) => {
        if (reply !== null) this.#learnSize(reply.length);
        read.settle(undefined, reply);
      }, fail);
    } catch (error) {
      fail(error);
    }
  }

  #learnSize(bytes: number): void {
    this.#meanBytes += (bytes - this.#meanBytes) * NEWEST_SHARE;
  }

  /** As few parts as may be, of the same size: a last one of two keys would cost nearly what a full one does. */
  #sizeOfPart(count: number): number {
    const largest = Math.max(1, Math.min(MAX_KEYS, Math.floor(MAX_BYTES / Math.max(1, this.#meanBytes))));
    const isHalved = count >= HALVED_FROM && this.#options.inFlight() <= count;
    return Math.ceil(count / Math.max(isHalved ? 2 : 1, Math.ceil(count / largest)));
  }

  #sendPart(keys: readonly string[], reads: readonly Read[], isLone: boolean): void {
    const { fetch, toFailure } = this.#options;
    const fail = (error: unknown): void => settleAll(reads, toFailure(error), undefined);
    // Whose caller was told already, because the connection went in the same turn, is not asked for.
    if (reads.every((read) => read.isOver)) {
      settleAll(reads, undefined, undefined);
      return;
    }
    try {
      fetch(keys, isLone).then((replies) => this.#deliver(reads, replies), fail);
    } catch (error) {
      fail(error);
    }
  }

  #deliver(reads: readonly Read[], replies: Replies): void {
    if (!Array.isArray(replies)) {
      settleAll(reads, NO_LIST, undefined);
      return;
    }
    let bytes = 0;
    let found = 0;
    for (const reply of replies) {
      if (reply === null) continue;
      bytes += reply.length;
      found += 1;
    }
    if (found > 0) this.#learnSize(bytes / found);
    settleAll(reads, undefined, replies);
  }
}

function settleAll(reads: readonly Read[], failure: CallFailure | undefined, replies: Replies | undefined): void {
  for (let index = 0; index < reads.length; index += 1) reads[index]?.settle(failure, replies?.[index]);
}
