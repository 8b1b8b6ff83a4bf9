import type { UpstreamFailure } from "../upstream/upstream-failure.ts";

/** Bytes of a live stream that are held for late joiners; a longer stream is passed on, and nobody can join it any more. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** Some events of a stream, in the order in which they came. */
export interface EventBatch {
  readonly all: Buffer;
  /** The same without the closing usage chunk, for callers who did not ask for it. */
  readonly lean: Buffer;
}

/** Who reads a live stream. Called synchronously as events come. */
export interface LiveListener {
  onEvents(batch: EventBatch): void;
  onEnd(): void;
  onFailure(failure: UpstreamFailure): void;
}

/**
 * A stream that an upstream is answering now, shared by everyone who asked the same. A late joiner first gets what has already come, in
 * one piece, then the live tail. It ends once: properly, or with a failure that every reader is told.
 */
export class LiveStream {
  readonly #listeners = new Set<LiveListener>();
  #held: EventBatch[] | undefined = [];
  #heldBytes = 0;
  #outcome: "running" | "ended" | { readonly failure: UpstreamFailure } = "running";

  /** Whether someone who comes now still gets everything. */
  get isJoinable(): boolean {
    return this.#held !== undefined;
  }

  /** Passes events on to everyone. */
  push(batch: EventBatch): void {
    if (this.#held) {
      this.#held.push(batch);
      this.#heldBytes += batch.all.length;
      if (this.#heldBytes > MAX_HELD_BYTES) this.#held = undefined;
    }
    for (const listener of this.#listeners) listener.onEvents(batch);
  }

  /** Tells everyone that the stream is over. */
  end(): void {
    this.#outcome = "ended";
    for (const listener of this.#listeners) listener.onEnd();
    this.#listeners.clear();
  }

  /** Tells everyone that the stream broke off. */
  fail(failure: UpstreamFailure): void {
    this.#outcome = { failure };
    for (const listener of this.#listeners) listener.onFailure(failure);
    this.#listeners.clear();
  }

  /** Joins, at whatever point the stream is. @returns a function that leaves again */
  join(listener: LiveListener): () => void {
    const held = this.#held ?? [];
    if (held.length > 0)
      listener.onEvents({ all: Buffer.concat(held.map((batch) => batch.all)), lean: Buffer.concat(held.map((batch) => batch.lean)) });
    if (this.#outcome === "running") this.#listeners.add(listener);
    else if (this.#outcome === "ended") listener.onEnd();
    else listener.onFailure(this.#outcome.failure);
    return () => this.#listeners.delete(listener);
  }
}
