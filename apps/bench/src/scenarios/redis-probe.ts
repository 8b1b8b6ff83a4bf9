import { Redis } from "ioredis";
import type { ScenarioContext, TaskContext } from "../scenario.ts";

/** Clearing many keys one by one takes some caches minutes. */
const TIMEOUT_MS = 600_000;

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/**
 * The task: another client, in a process of its own. GETs, one after the other, until told to stop; its message says that it is connected.
 * @returns their latencies in milliseconds
 */
export async function probe(input: unknown, task: TaskContext): Promise<readonly number[]> {
  const { url } = input as { readonly url: string };
  const client = new Redis(url);
  await client.set("probe", "x");
  let isDone = false;
  task.onMessage(() => {
    isDone = true;
  });
  task.send("connected");
  const latencies: number[] = [];
  while (!isDone) {
    const startedAt = performance.now();
    await client.get("probe");
    latencies.push(performance.now() - startedAt);
    await sleep(1);
  }
  client.disconnect();
  return latencies;
}

/** Does `work` beside another client that is connected already. @returns also that client's latencies meanwhile, in milliseconds */
export async function probeDuring<T>(
  context: ScenarioContext,
  url: string,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly latencies: readonly number[] }> {
  let connected = (): void => {};
  const isConnected = new Promise<void>((resolve) => {
    connected = resolve;
  });
  const running = context.runTask<readonly number[]>("probe", { url }, { timeoutMs: TIMEOUT_MS, onMessage: connected });
  await Promise.race([isConnected, running.result]);
  const value = await work().finally(() => running.send("stop"));
  return { value, latencies: await running.result };
}
