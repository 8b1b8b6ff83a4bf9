import { isWorkerMessage, type WorkerMessage } from "./worker-message.ts";

/** One end of an ordered channel between two processes or threads of a machine. */
export interface WorkerLink {
  /** Sends; dropped when the channel is closed. */
  send(message: WorkerMessage): void;
  /** Begins to listen. @returns how to stop */
  listen(onMessage: (message: WorkerMessage) => void, onClosed: () => void): () => void;
}

/** The part of `process`, `ChildProcess` and `cluster.Worker` that carries messages. */
export interface IpcEnd {
  send?(message: unknown, callback?: (error: Error | null) => void): boolean;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The part of `Worker`, `MessagePort` and `parentPort` of worker_threads that carries messages. */
export interface ThreadEnd {
  postMessage(message: unknown): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** Over the IPC channel of `process` in a worker, or of a child process or `cluster` worker in its primary. */
export function ipcLink(end: IpcEnd): WorkerLink {
  return {
    // The callback takes the error of a channel that is closing, which would be thrown otherwise.
    send: (message) => void end.send?.(message, () => {}),
    listen(onMessage, onClosed) {
      const take = (message: unknown): void => {
        if (isWorkerMessage(message)) onMessage(message);
      };
      end.on("message", take);
      end.on("disconnect", onClosed);
      end.on("exit", onClosed);
      return () => {
        end.off("message", take);
        end.off("disconnect", onClosed);
        end.off("exit", onClosed);
      };
    },
  };
}

/** Over a thread's `parentPort`, or a `Worker` in its primary; a `MessagePort` between the two serves as well. */
export function threadLink(end: ThreadEnd): WorkerLink {
  return {
    send: (message) => end.postMessage(message),
    listen(onMessage, onClosed) {
      const take = (message: unknown): void => {
        if (isWorkerMessage(message)) onMessage(message);
      };
      end.on("message", take);
      end.on("close", onClosed);
      end.on("exit", onClosed);
      return () => {
        end.off("message", take);
        end.off("close", onClosed);
        end.off("exit", onClosed);
      };
    },
  };
}

/** Two ends in one process: what one sends the other hears in a later microtask, in order, and at last that nobody listens here any more. */
export function linkPair(): readonly [WorkerLink, WorkerLink] {
  type Listeners = Map<(message: WorkerMessage) => void, () => void>;
  const listeners: readonly [Listeners, Listeners] = [new Map(), new Map()];
  const end = (own: Listeners, other: Listeners): WorkerLink => ({
    send: (message) =>
      queueMicrotask(() => {
        for (const listener of other.keys()) listener(message);
      }),
    listen(onMessage, onClosed) {
      own.set(onMessage, onClosed);
      return () => {
        if (own.delete(onMessage) && own.size === 0) queueMicrotask(() => [...other.values()].map((tell) => tell()));
      };
    },
  });
  return [end(listeners[0], listeners[1]), end(listeners[1], listeners[0])];
}
