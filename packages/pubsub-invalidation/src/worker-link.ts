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

/** Two ends in one process: what one sends the other hears in a later microtask, in order. */
export function linkPair(): readonly [WorkerLink, WorkerLink] {
  const listeners: [Set<(message: WorkerMessage) => void>, Set<(message: WorkerMessage) => void>] = [new Set(), new Set()];
  const end = (own: 0 | 1): WorkerLink => ({
    send: (message) =>
      queueMicrotask(() => {
        for (const listener of listeners[own === 0 ? 1 : 0]) listener(message);
      }),
    listen(onMessage) {
      listeners[own].add(onMessage);
      return () => void listeners[own].delete(onMessage);
    },
  });
  return [end(0), end(1)];
}
