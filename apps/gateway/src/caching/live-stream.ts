import type { UpstreamFailure } from "../upstream/upstream-failure.ts";

/** Bytes of a live stream that are held for late and slow readers; a longer stream is passed on, and nobody can join it any more. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** Bytes handed to a reader at a time: more would only wait in its socket. */
const PIECE_BYTES = 64 * 1024;

/** Some events of a stream, in the order in which they came. */
export interface EventBatch {
  /** Every byte of the events, as it came. */
  readonly all: Buffer;
  /** The same without the closing usage chunk, for callers who did not ask for it. */
  readonly lean: Buffer;
}

/** Who reads a live stream. Called synchronously as events come, for as long as it keeps up. */
export interface LiveReader {
  /** @returns false when it wants no more until `drained` resolves */
  onEvents(batch: EventBatch): boolean;
  /** Resolves when it wants more, or has gone. */
  drained(): Promise<void>;
  onEnd(): void;
  onFailure(failure: UpstreamFailure): void;
  /** It has fallen so far behind that what it would read next is held no longer. */
  onCut(): void;
}

/** How far one reader has come. */
interface Cursor {
  readonly reader: LiveReader;
  /** The next batch, counted from the stream's beginning. */
  next: number;
  isWaiting: boolean;
}

/**
 * A stream that an upstream is answering now, shared by everyone who asked the same. It is recorded as it comes, and every reader reads the record
 * at its own pace: a fast one gets each event as it comes, a late one what has already come and then the live tail, and a slow one waits until its
 * socket has drained. So a slow reader slows nobody, and holds no memory but the record, which all share.
 *
 * The record is bounded. Beyond the bound it becomes a window: the stream is no longer joinable (nor stored), and what every reader has read is
 * dropped. A reader that is a whole window behind others is cut off; one that reads alone slows the upstream down instead, as it would without us.
 * The stream ends once: properly, or with a failure, which every reader is told after everything that came before.
 */
export class LiveStream {
  readonly #maxHeldBytes: number;
  readonly #cursors = new Set<Cursor>();
  readonly #held: EventBatch[] = [];
  #heldBytes = 0;
  /** Batches that are held no longer. */
  #dropped = 0;
  #isJoinable = true;
  #onRoom: (() => void) | undefined;
  #outcome: "running" | "ended" | { readonly failure: UpstreamFailure } = "running";

  /** The labels of the request that it answers: told as they are, they are for requests with the same. */
  readonly labels: string;

  /** @param maxHeldBytes bytes of the record, integer >= 1 */
  constructor(labels = "", maxHeldBytes: number = MAX_HELD_BYTES) {
    this.labels = labels;
    this.#maxHeldBytes = maxHeldBytes;
  }

  /** Whether someone who comes now still gets everything. */
  get isJoinable(): boolean {
    return this.#isJoinable;
  }

  /** Records events and passes them on. @returns what to wait for before the next ones, when the only reader is a window behind */
  push(batch: EventBatch): Promise<void> | undefined {
    this.#held.push(batch);
    this.#heldBytes += bytesOf(batch);
    for (const cursor of this.#cursors) if (!cursor.isWaiting) this.#advance(cursor);
    if (this.#heldBytes <= this.#maxHeldBytes) return undefined;
    this.#isJoinable = false;
    this.#makeRoom();
    if (this.#heldBytes <= this.#maxHeldBytes) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** Tells everyone, as soon as they have read everything, that the stream is over. */
  end(): void {
    this.#close("ended");
  }

  /** Tells everyone, as soon as they have read what came, that the stream broke off. */
  fail(failure: UpstreamFailure): void {
    this.#close({ failure });
  }

  /** Joins, at whatever point the stream is. @returns a function that leaves again */
  join(reader: LiveReader): () => void {
    const cursor: Cursor = { reader, next: this.#dropped, isWaiting: false };
    this.#cursors.add(cursor);
    this.#advance(cursor);
    return () => this.#remove(cursor);
  }

  #close(outcome: "ended" | { readonly failure: UpstreamFailure }): void {
    this.#outcome = outcome;
    for (const cursor of this.#cursors) if (!cursor.isWaiting) this.#advance(cursor);
  }

  /** Hands out what has come, until the reader has had enough; after the last of it, the end. */
  #advance(cursor: Cursor): void {
    const { reader } = cursor;
    while (cursor.next < this.#dropped + this.#held.length) {
      if (reader.onEvents(this.#take(cursor))) continue;
      this.#waitFor(cursor);
      return;
    }
    if (this.#outcome === "running" || !this.#cursors.delete(cursor)) return;
    if (this.#outcome === "ended") reader.onEnd();
    else reader.onFailure(this.#outcome.failure);
  }

  #waitFor(cursor: Cursor): void {
    cursor.isWaiting = true;
    void cursor.reader.drained().then(() => {
      cursor.isWaiting = false;
      if (!this.#cursors.has(cursor)) return;
      this.#advance(cursor);
      this.#release();
    });
  }

  /** The next batches as one, as many as go into a piece. */
  #take(cursor: Cursor): EventBatch {
    const first = this.#held[cursor.next - this.#dropped] as EventBatch;
    const from = cursor.next - this.#dropped;
    let to = from + 1;
    for (let length = first.all.length; to < this.#held.length; to += 1) {
      length += (this.#held[to] as EventBatch).all.length;
      if (length > PIECE_BYTES) break;
    }
    cursor.next = this.#dropped + to;
    if (to === from + 1) return first;
    const batches = this.#held.slice(from, to);
    return { all: Buffer.concat(batches.map((batch) => batch.all)), lean: Buffer.concat(batches.map((batch) => batch.lean)) };
  }

  #remove(cursor: Cursor): void {
    if (this.#cursors.delete(cursor)) this.#release();
  }

  /** A reader has moved on or left: the upstream may go on when that made room. */
  #release(): void {
    if (this.#isJoinable) return;
    this.#makeRoom();
    if (this.#heldBytes > this.#maxHeldBytes) return;
    this.#onRoom?.();
    this.#onRoom = undefined;
  }

  /** Drops what all have read, and those who hold up others. */
  #makeRoom(): void {
    for (;;) {
      let slowest: Cursor | undefined;
      for (const cursor of this.#cursors) if (!slowest || cursor.next < slowest.next) slowest = cursor;
      this.#dropUntil(slowest?.next ?? this.#dropped + this.#held.length);
      if (!slowest || this.#heldBytes <= this.#maxHeldBytes || this.#cursors.size === 1) return;
      this.#cursors.delete(slowest);
      slowest.reader.onCut();
    }
  }

  #dropUntil(next: number): void {
    for (const batch of this.#held.splice(0, next - this.#dropped)) this.#heldBytes -= bytesOf(batch);
    this.#dropped = next;
  }
}

function bytesOf({ all, lean }: EventBatch): number {
  return lean === all ? all.length : all.length + lean.length;
}
