/** A worker, as far as it is ended. */
export interface EndableWorker {
  readonly process: { kill(signal: "SIGKILL"): unknown };
  isConnected(): boolean;
  send(message: string, handle: undefined, callback: () => void): unknown;
  once(event: "exit", listener: () => void): unknown;
}

/**
 * Tells workers to end, and resolves when all have. One that stands still does not hear it, and is killed.
 * @param withinMs milliseconds that the rest of them may take, > 0 @returns how many were killed
 */
export async function endWorkers(workers: readonly EndableWorker[], message: string, withinMs: number): Promise<number> {
  const remaining = new Set(workers);
  let killed = 0;
  const timer = setTimeout(() => {
    killed = remaining.size;
    for (const worker of remaining) worker.process.kill("SIGKILL");
  }, withinMs);
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve) => {
          worker.once("exit", () => {
            remaining.delete(worker);
            resolve();
          });
          // One that has just died still counts as connected: without a callback its channel's error would end this process, and the others with it.
          if (worker.isConnected()) worker.send(message, undefined, () => undefined);
        }),
    ),
  );
  clearTimeout(timer);
  return killed;
}
