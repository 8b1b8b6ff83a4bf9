import { type Clock, type RandomSource, systemClock, systemRandom } from "@larder/cache-core";
import { duplicateClient, type IoredisClient } from "./duplicate-client.ts";
import { dataOptions, reconnectPauseMs, subscriberOptions } from "./ioredis-options.ts";
import type { WorkerLink } from "./worker-link.ts";

/** Milliseconds after which a message that Redis does not take is given up. */
const PUBLISH_TIMEOUT_MS = 1_000;
/** Milliseconds after which a hub that has not acknowledged a subscription is asked again. */
const SUBSCRIBE_AGAIN_MS = 250;

/** How watchers of one cache in several processes talk: everyone hears everyone, themselves included, at most once. */
export interface WatcherPort {
  /** Sends to all watchers. Never rejects: a question that is lost counts as unanswered. */
  publish(text: string): void;
  /** Begins to listen, and goes on trying for ever. Called once. `onError`: told of each message or subscription that failed. */
  open(onMessage: (text: string) => void, onError: () => void): void;
  close(): void;
}

/** What a port for watchers may be given: how it retries. */
export interface WatcherPortOptions {
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** @default the machine's random source */
  readonly random?: RandomSource;
}

/**
 * Over Redis pub/sub, on two connections of its own: not those of the bus, so that a watcher does not share the fate of what it watches.
 * Where to connect is taken from the client, how to behave is not: a client that never queues, or does not subscribe again by itself,
 * would leave the watcher deaf.
 * @param channel the same in all processes; one per cache
 */
export function redisWatcherPort(client: IoredisClient, channel: string, options: WatcherPortOptions = {}): WatcherPort {
  const { clock = systemClock, random = systemRandom } = options;
  const duplicate = (settings: Record<string, unknown>): IoredisClient => duplicateClient(client, { settings, isSharded: false, random });
  const publisher = duplicate(dataOptions(PUBLISH_TIMEOUT_MS, random));
  const subscriber = duplicate(subscriberOptions(random));
  let tellError = (): void => {};
  let cancelRetry = (): void => {};
  const subscribe = (): void => {
    cancelRetry();
    subscriber.subscribe(channel).catch(() => {
      tellError();
      // When the connection is gone, the next one's `ready` comes first.
      cancelRetry = clock.setTimer(() => void (subscriber.status === "ready" && subscribe()), reconnectPauseMs(Infinity, random));
    });
  };
  // What a connection's error means for the watcher shows in what it sends and hears.
  publisher.on("error", () => {});
  subscriber.on("error", () => {});
  return {
    publish: (text) => void publisher.publish(channel, text).catch(() => tellError()),
    open(onMessage, onError) {
      tellError = onError;
      subscriber.on("message", (_channel: string, text: string) => onMessage(text));
      subscriber.on("ready", subscribe);
      if (subscriber.status === "ready") subscribe();
    },
    close() {
      tellError = () => {};
      subscriber.off("ready", subscribe);
      cancelRetry();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

/**
 * Between the workers of one machine, through the `WorkerBusHub` in their primary.
 * @param link as for `WorkerInvalidationBus`
 * @param channel the same in all workers; one per cache
 */
export function workerWatcherPort(link: WorkerLink, channel: string, options: WatcherPortOptions = {}): WatcherPort {
  const { clock = systemClock, random = systemRandom } = options;
  const from = random.token();
  let stop = (): void => {};
  let cancelRetry = (): void => {};
  const subscribe = (): void => {
    link.send({ larder: 1, kind: "subscribe", from, channels: [channel] });
    cancelRetry = clock.setTimer(subscribe, SUBSCRIBE_AGAIN_MS);
  };
  return {
    publish: (text) => link.send({ larder: 1, kind: "message", channel, text }),
    open(onMessage) {
      stop = link.listen(
        (message) => {
          if (message.kind === "message" && message.channel === channel) onMessage(message.text);
          else if (message.kind === "subscribed" && message.from === from) cancelRetry();
          else if (message.kind === "mark") link.send(message);
        },
        () => cancelRetry(),
      );
      subscribe();
    },
    close() {
      cancelRetry();
      link.send({ larder: 1, kind: "unsubscribe", from, channels: [channel] });
      stop();
    },
  };
}
