import { CacheError, type Clock, type RandomSource } from "@larder/cache-core";
import type { BusPort, BusPortEvents, BusScript } from "./bus-port.ts";
import type { WorkerLink } from "./worker-link.ts";
import type { WorkerMessage } from "./worker-message.ts";

/** Calls under way at most. */
const MAX_IN_FLIGHT = 1_024;
/** Checks and replays that find room beside so many. */
const MAX_EXTRA = 1_024;

/** The shortest timer: by the time it fires, messages have been read once. */
const ONE_TURN_MS = 1;
/** Milliseconds after which an unanswered subscription is asked for again. */
const RETRY_MS = 250;

interface Call {
  resolve(value: unknown): void;
  cancel(): void;
}

/** The bus's port to a `WorkerBusHub`. One ordered channel carries replies and messages alike. */
export class WorkerPort implements BusPort {
  readonly publishCommand: "PUBLISH" = "PUBLISH";
  readonly #link: WorkerLink;
  readonly #clock: Clock;
  /** Another port of this worker hears the same replies. */
  readonly #portId: string;
  readonly #wanted: Set<string> = new Set();
  readonly #unacknowledged: Set<string> = new Set();
  readonly #calls: Map<number, Call> = new Map();
  #events: BusPortEvents | undefined;
  #stop: () => void = () => {};
  #cancelRetry: () => void = () => {};
  #lastId = 0;
  #isClosed = false;

  constructor(link: WorkerLink, clock: Clock, random: RandomSource) {
    this.#link = link;
    this.#clock = clock;
    this.#portId = random.token();
  }

  open(events: BusPortEvents): void {
    this.#events = events;
    this.#stop = this.#link.listen(
      (message) => this.#onMessage(message),
      () => this.#onClosed(),
    );
  }

  /**
   * What is due is given one more turn of the event loop, in which answers are read that lay in the channel while this process was busy: timers run
   * before messages.
   */
  run(script: BusScript, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new CacheError("ERR_CACHE_BACKEND", "the channel to the primary process is closed"));
    const limit = script.name === "append" ? MAX_IN_FLIGHT : MAX_IN_FLIGHT + MAX_EXTRA;
    if (this.#calls.size >= limit) {
      return Promise.reject(new CacheError("ERR_CACHE_BACKEND", `${limit} calls wait for the primary process already`));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const refuse = (): void => {
        this.#calls.delete(id);
        reject(new CacheError("ERR_CACHE_TIMEOUT", `the primary process did not answer within ${timeoutMs} ms`));
      };
      let cancel = this.#clock.setTimer(() => {
        cancel = this.#clock.setTimer(refuse, ONE_TURN_MS);
      }, timeoutMs);
      this.#calls.set(id, { resolve, cancel: () => cancel() });
      this.#link.send({ larder: 1, kind: "run", from: this.#portId, id, script: script.name, keys, args });
    });
  }

  subscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.add(channel);
      this.#unacknowledged.add(channel);
    }
    this.#sendSubscribe();
  }

  unsubscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      this.#unacknowledged.delete(channel);
    }
    this.#link.send({ larder: 1, kind: "unsubscribe", from: this.#portId, channels });
  }

  /** The channel cannot be made anew: the subscriptions are asked for again, in case there is another hub at its end. */
  reconnectSubscriber(): void {
    for (const channel of this.#wanted) this.#unacknowledged.add(channel);
    this.#sendSubscribe();
  }

  close(): void {
    this.#cancelRetry();
    if (!this.#isClosed) this.#link.send({ larder: 1, kind: "unsubscribe", from: this.#portId, channels: [...this.#wanted] });
    this.#isClosed = true;
    this.#stop();
    for (const call of this.#calls.values()) call.cancel();
    this.#calls.clear();
  }

  #onMessage(message: WorkerMessage): void {
    if (message.kind === "message") this.#events?.onMessage(message.channel, message.text);
    else if (message.kind === "mark") this.#link.send(message);
    else if ("from" in message && message.from !== this.#portId) return;
    else if (message.kind === "subscribed") this.#onSubscribed(message.channels);
    else if (message.kind === "reply") {
      const call = this.#calls.get(message.id);
      this.#calls.delete(message.id);
      call?.cancel();
      call?.resolve(message.value);
    }
  }

  #onSubscribed(channels: readonly string[]): void {
    for (const channel of channels) this.#unacknowledged.delete(channel);
    if (this.#unacknowledged.size > 0) return;
    this.#cancelRetry();
    this.#events?.onSubscribed();
  }

  /** Goes on asking: a message that came before the hub listened is lost. */
  #sendSubscribe(): void {
    this.#cancelRetry();
    if (this.#isClosed || this.#unacknowledged.size === 0) return;
    this.#link.send({ larder: 1, kind: "subscribe", from: this.#portId, channels: [...this.#unacknowledged] });
    this.#cancelRetry = this.#clock.setTimer(() => this.#sendSubscribe(), RETRY_MS);
  }

  #onClosed(): void {
    if (this.#isClosed) return;
    this.#events?.onLost();
  }
}
