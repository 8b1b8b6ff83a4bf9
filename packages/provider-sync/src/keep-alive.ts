import { MessageChannel } from "node:worker_threads";

/**
 * Runs work that somebody waits for, and keeps the process alive until it is over. A clock's timers do not: while a retry or a busy file is
 * waited for there may be nothing else, and Node would end the process in the middle of an `await` (exit code 13). A listening port does, until
 * it is closed.
 */
export async function keepAlive<T>(work: () => Promise<T>): Promise<T> {
  const { port1: port } = new MessageChannel();
  port.on("message", () => {});
  try {
    return await work();
  } finally {
    port.close();
  }
}
