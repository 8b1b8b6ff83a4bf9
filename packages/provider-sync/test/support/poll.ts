import { type ExpectPollOptions, expect } from "vitest";

/** `expect.poll` with the patience that a busy machine needs: the default gives up after one second. */
export function poll<T>(ask: () => T, options: ExpectPollOptions = {}): ReturnType<typeof expect.poll<Awaited<T>>> {
  return expect.poll(ask as () => Awaited<T>, { timeout: 15_000, interval: 5, ...options });
}
