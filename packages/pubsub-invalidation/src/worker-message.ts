/**
 * What workers and their primary say to each other; a `message` goes both ways, and the primary passes a worker's on. `larder` marks our
 * messages among the application's own, and `from` the asker among several in one worker, which share its channel.
 */
export type WorkerMessage =
  | {
      readonly larder: 1;
      readonly kind: "run";
      readonly from: string;
      readonly id: number;
      readonly script: string;
      readonly keys: readonly string[];
      readonly args: readonly string[];
    }
  | { readonly larder: 1; readonly kind: "reply"; readonly from: string; readonly id: number; readonly value: unknown }
  | {
      readonly larder: 1;
      readonly kind: "subscribe" | "unsubscribe" | "subscribed";
      readonly from: string;
      readonly channels: readonly string[];
    }
  | { readonly larder: 1; readonly kind: "message"; readonly channel: string; readonly text: string }
  /** Sent back as it came: by it the primary knows how far a worker has read. */
  | { readonly larder: 1; readonly kind: "mark"; readonly at: number };

/** Whether a message is one of ours. Others pass by. */
export function isWorkerMessage(message: unknown): message is WorkerMessage {
  return typeof message === "object" && message !== null && (message as { larder?: unknown }).larder === 1;
}
