import { createHash } from "node:crypto";
import { CacheError, type Clock, checkFlag, type RandomSource, type RedisTarget } from "@larder/cache-core";
import type { Redis } from "ioredis";
import type { BusPort, BusPortEvents, BusScript } from "./bus-port.ts";
import { duplicateClient, type IoredisClient, isClusterClient } from "./duplicate-client.ts";
import { dataOptions, reconnectPauseMs, subscriberOptions } from "./ioredis-options.ts";
import { loadRefusal } from "./load-refusal.ts";
import { openTemplate } from "./open-template.ts";

/** Calls under way at most: ioredis keeps a command until its reply comes, also after its timeout, so a hung server would fill memory. */
const MAX_IN_FLIGHT = 1_024;
/** Checks and replays that find room beside so many: invalidations must not keep the bus from proving itself. */
const MAX_EXTRA = 1_024;
/** Milliseconds within which SUBSCRIBE must be acknowledged. */
const SUBSCRIBE_TIMEOUT_MS = 1_000;

/** The shortest timer: by the time it fires, sockets have been read once. */
const ONE_TURN_MS = 1;

/** What the port needs beside the client. */
export interface IoredisPortOptions {
  readonly isSharded: boolean | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: RandomSource;
}

const isTarget = (given: IoredisClient | RedisTarget): given is RedisTarget => "addresses" in given;
const digests = new WeakMap<BusScript, string>();

function digestOf(script: BusScript): string {
  let digest = digests.get(script);
  if (digest === undefined) {
    digest = createHash("sha1").update(script.text).digest("hex");
    digests.set(script, digest);
  }
  return digest;
}

/** Ends a connection. A half-open socket never answers FIN: ending it in good order would wait for ever. (A cluster's client has no socket of its own.) */
function end(client: IoredisClient | undefined): void {
  client?.disconnect();
  (client as Partial<Redis> | undefined)?.stream?.destroy();
}

class IoredisPort implements BusPort {
  readonly #given: IoredisClient | RedisTarget;
  readonly #options: IoredisPortOptions;
  readonly #isSharded: boolean;
  readonly #wanted: Set<string> = new Set();
  /** Of those, which the current connection has not acknowledged. */
  readonly #unacknowledged: Set<string> = new Set();
  #events: BusPortEvents | undefined;
  #template: IoredisClient | undefined;
  #data: IoredisClient | undefined;
  #subscriber: IoredisClient | undefined;
  #inFlight = 0;
  #isClosed = false;

  constructor(given: IoredisClient | RedisTarget, options: IoredisPortOptions) {
    this.#given = given;
    this.#options = options;
    this.#isSharded = checkFlag("isSharded", options.isSharded ?? (isTarget(given) ? given.kind === "cluster" : isClusterClient(given)));
  }

  get publishCommand(): "PUBLISH" | "SPUBLISH" {
    return this.#isSharded ? "SPUBLISH" : "PUBLISH";
  }

  open(events: BusPortEvents): void {
    this.#events = events;
    if (isTarget(this.#given)) void this.#openTarget(this.#given);
    else this.#connect(this.#given);
  }

  async run(script: BusScript, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<unknown> {
    const client = this.#data;
    if (client?.status !== "ready") throw new CacheError("ERR_CACHE_BACKEND", "no connection to Redis");
    const limit = script.name === "append" ? MAX_IN_FLIGHT : MAX_IN_FLIGHT + MAX_EXTRA;
    if (this.#inFlight >= limit) throw new CacheError("ERR_CACHE_BACKEND", `${limit} calls wait for Redis already`);
    this.#inFlight += 1;
    const answer = this.#evaluate(client, script, keys, args).finally(() => {
      this.#inFlight -= 1;
    });
    return this.#within(timeoutMs, answer);
  }

  subscribe(channels: readonly string[]): void {
    for (const channel of channels) this.#wanted.add(channel);
    const subscriber = this.#subscriber;
    if (subscriber?.status === "ready") void this.#subscribeNow(subscriber, channels);
  }

  unsubscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      this.#unacknowledged.delete(channel);
    }
    const subscriber = this.#subscriber;
    if (channels.length === 0 || subscriber?.status !== "ready") return;
    for (const group of this.#groups(channels)) {
      // Where nobody serves the slot, ioredis throws at once.
      const leave = async (): Promise<unknown> => (this.#isSharded ? subscriber.sunsubscribe(...group) : subscriber.unsubscribe(...group));
      leave().catch((error: unknown) => this.#events?.onError(error));
    }
  }

  reconnectSubscriber(): void {
    if (!this.#subscriber || this.#isClosed) return;
    end(this.#subscriber);
    // Its `close` is not ours any more.
    this.#subscriber = undefined;
    this.#events?.onLost();
    this.#connectSubscriber();
  }

  close(): void {
    this.#isClosed = true;
    end(this.#data);
    end(this.#subscriber);
  }

  /** Never rejects: what goes wrong here is told to those who wait for the first proof. */
  async #openTarget(target: RedisTarget): Promise<void> {
    try {
      const ioredis = await import("ioredis");
      if (!this.#isClosed) this.#connect(openTemplate(ioredis, target));
    } catch (error) {
      this.#events?.onError(loadRefusal(error));
    }
  }

  #connect(template: IoredisClient): void {
    this.#template = template;
    const { timeoutMs, random } = this.#options;
    const data = duplicateClient(template, { settings: dataOptions(timeoutMs, random), isSharded: false, random });
    this.#data = data;
    data.on("error", (error: { readonly command?: { readonly name?: string } }) => {
      this.#events?.onError(error);
      // ioredis would go on in database 0, which is somebody else's.
      if (error.command?.name === "select") data.disconnect(true);
    });
    data.on("ready", () => this.#events?.onReachable?.());
    this.#connectSubscriber();
  }

  #connectSubscriber(): void {
    const { random } = this.#options;
    const settings = subscriberOptions(random);
    const subscriber = duplicateClient(this.#template as IoredisClient, { settings, isSharded: this.#isSharded, random });
    this.#subscriber = subscriber;
    const isCurrent = (): boolean => this.#subscriber === subscriber && !this.#isClosed;
    subscriber.on("error", (error: unknown) => this.#events?.onError(error));
    subscriber.on("ready", () => {
      if (!isCurrent()) return;
      this.#unacknowledged.clear();
      void this.#subscribeNow(subscriber, [...this.#wanted]);
    });
    subscriber.on("close", () => {
      if (isCurrent()) this.#events?.onLost();
    });
    subscriber.on(this.#isSharded ? "smessage" : "message", (channel: string, text: string) => {
      if (isCurrent()) this.#events?.onMessage(channel, text);
    });
  }

  async #subscribeNow(subscriber: IoredisClient, channels: readonly string[]): Promise<void> {
    if (channels.length === 0) return;
    for (const channel of channels) this.#unacknowledged.add(channel);
    // Where nobody serves the slot, ioredis throws at once.
    const subscribe = async (group: readonly string[]): Promise<unknown> =>
      this.#isSharded ? subscriber.ssubscribe(...group) : subscriber.subscribe(...group);
    const groups = this.#groups(channels).map((group) => this.#within(SUBSCRIBE_TIMEOUT_MS, subscribe(group)));
    const refused = (await Promise.allSettled(groups)).filter((answer) => answer.status === "rejected");
    if (this.#subscriber !== subscriber || this.#isClosed) return;
    for (const { reason } of refused) this.#events?.onError(reason);
    if (refused.length === groups.length) {
      // Not with this connection, then: the next one asks again.
      this.#options.clock.setTimer(
        () => {
          if (this.#subscriber === subscriber) this.reconnectSubscriber();
        },
        reconnectPauseMs(3, this.#options.random),
      );
      return;
    }
    // Where only some were refused the others stand: a lane whose slot is served again answers checks of which it hears nothing, and so makes the next connection.
    for (const channel of channels) this.#unacknowledged.delete(channel);
    if (this.#unacknowledged.size === 0) this.#events?.onSubscribed();
  }

  /** What one command may name: of sharded channels only those of one slot, so each by itself. */
  #groups(channels: readonly string[]): ReadonlyArray<readonly string[]> {
    return this.#isSharded ? channels.map((channel) => [channel]) : [channels];
  }

  async #evaluate(client: IoredisClient, script: BusScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await client.evalsha(digestOf(script), keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return client.eval(script.text, keys.length, ...keys, ...args);
    }
  }

  /**
   * What is due is given one more turn of the event loop, in which answers are read that lay in the socket while this process was busy: timers run
   * before sockets, and a thousand invalidations in one loop all counted as unanswered.
   */
  #within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(new CacheError("ERR_CACHE_TIMEOUT", `Redis did not answer within ${timeoutMs} ms`));
      let cancel = clock.setTimer(() => {
        cancel = clock.setTimer(refuse, ONE_TURN_MS);
      }, timeoutMs);
      promise.then(resolve, reject).finally(() => cancel());
    });
  }
}

/** The bus's port over ioredis. */
export function createIoredisPort(given: IoredisClient | RedisTarget, options: IoredisPortOptions): BusPort {
  return new IoredisPort(given, options);
}
