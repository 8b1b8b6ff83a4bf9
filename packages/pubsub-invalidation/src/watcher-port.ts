import type { IoredisClient } from "./ioredis-port.ts";
import type { WorkerLink } from "./worker-link.ts";

/** How watchers of one cache in several processes talk: everyone hears everyone, themselves included, at most once. */
export interface WatcherPort {
  /** Sends to all watchers. Never rejects: a question that is lost counts as unanswered. */
  publish(text: string): void;
  /** Begins to listen. Called once. */
  open(onMessage: (text: string) => void): void;
  close(): void;
}

/**
 * Over Redis pub/sub, on two connections of its own: not those of the bus, so that a watcher does not share the fate of what it watches.
 * @param channel the same in all processes; one per cache
 */
export function redisWatcherPort(client: IoredisClient, channel: string): WatcherPort {
  const publisher = client.duplicate() as IoredisClient;
  const subscriber = client.duplicate() as IoredisClient;
  const ignore = (): void => {};
  publisher.on("error", ignore);
  subscriber.on("error", ignore);
  return {
    publish: (text) => void publisher.publish(channel, text).catch(ignore),
    open(onMessage) {
      subscriber.on("message", (_channel: string, text: string) => onMessage(text));
      subscriber.subscribe(channel).catch(ignore);
    },
    close() {
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

/**
 * Between the workers of one machine, through the `WorkerBusHub` in their primary.
 * @param link as for `WorkerInvalidationBus`; the hub must be attached before the watcher is made
 * @param channel the same in all workers; one per cache
 */
export function workerWatcherPort(link: WorkerLink, channel: string): WatcherPort {
  let stop = (): void => {};
  return {
    publish: (text) => link.send({ larder: 1, kind: "message", channel, text }),
    open(onMessage) {
      stop = link.listen(
        (message) => {
          if (message.kind === "message" && message.channel === channel) onMessage(message.text);
        },
        () => {},
      );
      link.send({ larder: 1, kind: "subscribe", channels: [channel] });
    },
    close() {
      link.send({ larder: 1, kind: "unsubscribe", channels: [channel] });
      stop();
    },
  };
}
