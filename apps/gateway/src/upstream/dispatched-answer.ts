import type { AbortSignalLike } from "@larder/cache-core";
import type { Dispatcher } from "undici";
import type { UpstreamAnswer } from "./upstream.ts";
import type { Waiter, WaitingPlace, WaitingRoom } from "./waiting-room.ts";

/** Bytes of a body that may wait for their reader before the provider is held up. */
const MAX_WAITING_BYTES = 128 * 1024;
/** Bytes of an unwanted body that are read away, so that the connection can be used again; a longer one costs the connection. */
const MAX_DISCARDED_BYTES = 128 * 1024;

/** What becomes of the body. */
type Use = "undecided" | "collected" | "iterated" | "discarded";

/**
 * A provider's answer, as undici's parser brings it: through `dispatch`, its lowest documented interface. `request` wraps the same calls
 * in an AsyncResource and a Readable, which cost a proxied request a seventh of its time (measured in a bare proxy: 60 us with `request`, 51 so), and a
 * body that is wanted whole is put together from the stream's pieces in the end.
 *
 * What a reader does not take holds the provider up: beyond `MAX_WAITING_BYTES` the connection is paused.
 */
export class DispatchedAnswer implements Dispatcher.DispatchHandler, UpstreamAnswer, Waiter {
  status = 0;
  headers: UpstreamAnswer["headers"] = {};
  readonly #signal: AbortSignalLike | undefined;
  readonly #onHead: (answer: UpstreamAnswer) => void;
  readonly #onFailure: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  /** Where it waits for a connection. */
  #room: WaitingRoom | undefined;
  #place: WaitingPlace | undefined;
  #use: Use = "undecided";
  /**
   * What has come and waits for its reader. Two fields, since most answers come in one piece: V8 takes a list that each call makes for a lasting
   * thing, allocates it among the old objects at once, and keeps with it, until the next full collection, all that the request has made (measured
   * in misses: 6 KB of each outlived the request).
   */
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;
  #waitingBytes = 0;
  #maxBytes = Infinity;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;
  /** Tells whoever reads that something has come. */
  #onChange: (() => void) | undefined;

  /** @param onHead called once, when the head has come; @param onFailure called once instead, when none comes */
  constructor(signal: AbortSignalLike | undefined, onHead: (answer: UpstreamAnswer) => void, onFailure: (error: unknown) => void) {
    this.#signal = signal;
    this.#onHead = onHead;
    this.#onFailure = onFailure;
    signal?.addEventListener("abort", this.#abort);
  }

  /** Waits for a connection, unless it has one already. */
  waitIn(room: WaitingRoom): void {
    if (this.#controller || this.#failure) return;
    this.#room = room;
    this.#place = room.enter(this);
  }

  giveUp(): void {
    this.#fail(noConnection());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#leaveRoom();
    if (this.#failure) controller.abort(toError(this.#failure.error));
    else if (this.#signal?.aborted) this.#abort();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: UpstreamAnswer["headers"]): void {
    // 1xx: the answer is still to come.
    if (statusCode < 200) return;
    this.status = statusCode;
    this.headers = headers;
    this.#onHead(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#waitingBytes += chunk.length;
    if (this.#use === "discarded") {
      if (this.#waitingBytes > MAX_DISCARDED_BYTES) controller.abort(new Error("the rest of the answer is not wanted"));
      return;
    }
    if (this.#use === "collected" && this.#waitingBytes > this.#maxBytes) {
      controller.abort(new RangeError(`the upstream's answer is larger than ${this.#maxBytes} bytes`));
      return;
    }
    if (this.#first === undefined) this.#first = chunk;
    else if (this.#rest) this.#rest.push(chunk);
    else this.#rest = [chunk];
    if (this.#use !== "collected" && this.#waitingBytes > MAX_WAITING_BYTES) controller.pause();
    if (this.#use === "iterated") this.#onChange?.();
  }

  onResponseEnd(): void {
    this.#hasEnded = true;
    this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#leaveRoom();
    this.#fail(error);
  }

  #leaveRoom(): void {
    if (this.#place) this.#room?.leave(this.#place);
  }

  bytes(maxBytes: number): Promise<Buffer> {
    this.#use = "collected";
    this.#maxBytes = maxBytes;
    if (Math.max(Number(this.headers["content-length"] ?? 0), this.#waitingBytes) > maxBytes) {
      // It may have come whole already: then there is nothing to break off any more, and it is refused all the same.
      const error = new RangeError(`the upstream's answer is larger than ${maxBytes} bytes`);
      this.#forget();
      this.#controller?.abort(error);
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#onChange = () => {
        if (this.#failure) reject(this.#failure.error);
        else if (this.#hasEnded) resolve(this.#takeCopy());
      };
      this.#controller?.resume();
      this.#onChange();
    });
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  discard(): void {
    this.#use = "discarded";
    this.#forget();
    this.#controller?.resume();
  }

  async *#read(): AsyncGenerator<Uint8Array, void, undefined> {
    this.#use = "iterated";
    try {
      for (;;) {
        if (this.#first) {
          const chunk = this.#take(this.#first);
          this.#controller?.resume();
          yield chunk;
        } else if (this.#failure) throw this.#failure.error;
        else if (this.#hasEnded) return;
        else
          await new Promise<void>((resolve) => {
            this.#onChange = resolve;
          });
      }
    } finally {
      // Whoever stops reading early wants no more of it: the connection cannot be used again.
      if (!this.#hasEnded && !this.#failure) this.#controller?.abort(new Error("the rest of the answer is not wanted"));
    }
  }

  /** All that waits, as one piece: what came in one packet goes on in one. */
  #take(first: Buffer): Buffer {
    const whole = this.#rest ? Buffer.concat([first, ...this.#rest], this.#waitingBytes) : first;
    this.#forget();
    this.#waitingBytes = 0;
    return whole;
  }

  /** All that has come, copied: what undici hands out is a view of the socket's buffer, which a stored answer would keep alive whole. */
  #takeCopy(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.#waitingBytes);
    let offset = this.#first?.copy(whole) ?? 0;
    for (const chunk of this.#rest ?? []) offset += chunk.copy(whole, offset);
    this.#forget();
    return whole;
  }

  #forget(): void {
    this.#first = undefined;
    this.#rest = undefined;
  }

  readonly #abort = (): void => {
    const reason = toError(this.#signal?.reason);
    if (this.#controller) this.#controller.abort(reason);
    else this.#fail(reason);
  };

  #fail(error: unknown): void {
    if (this.#failure || this.#hasEnded) return;
    this.#failure = { error };
    if (this.status === 0) this.#onFailure(error);
    this.#finish();
  }

  #finish(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#onChange?.();
  }
}

/** No connection to the provider has become free in time. */
export function noConnection(): Error {
  return Object.assign(new Error("all connections to the provider are in use"), { code: "ERR_NO_CONNECTION" });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("the call was cancelled", { cause: reason });
}
