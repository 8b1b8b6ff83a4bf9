/** What workers and their primary say to each other; a `message` goes both ways, and the primary passes a worker's on. `larder` marks our messages among the application's own. */
export type WorkerMessage =
  | {
      readonly larder: 1;
      readonly kind: "run";
      readonly id: number;
      readonly script: string;
      readonly keys: readonly string[];
      readonly args: readonly string[];
    }
  | { readonly larder: 1; readonly kind: "reply"; readonly id: number; readonly value: unknown }
  | { readonly larder: 1; readonly kind: "subscribe" | "unsubscribe" | "subscribed"; readonly channels: readonly string[] }
  | { readonly larder: 1; readonly kind: "message"; readonly channel: string; readonly text: string };

/** Whether a message is one of ours. Others pass by. */
export function isWorkerMessage(message: unknown): message is WorkerMessage {
  return typeof message === "object" && message !== null && (message as { larder?: unknown }).larder === 1;
}
