import { CacheError } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { ProviderCaller } from "./call-provider.ts";
import type { Provider } from "./provider.ts";
import type { UpstreamAnswer, UpstreamCall } from "./upstream.ts";

const answered = { status: 200, headers: {} } as UpstreamAnswer;

function providerWith(call: (call: UpstreamCall) => Promise<UpstreamAnswer>): Provider {
  return { id: "one", upstream: { call, close: async () => {} } } as unknown as Provider;
}

/** As undici does: rejects with the signal's own reason. */
const untilAborted = ({ signal }: UpstreamCall): Promise<UpstreamAnswer> =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

/** A pause that nothing but an abort ends. */
const untilLeft = (_: number, signal: UpstreamCall["signal"]): Promise<never> =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new Error("the pause was ended"))));

const callOf = (signal?: AbortSignal): UpstreamCall => ({
  method: "POST",
  url: "http://upstream",
  headers: {},
  timeoutMs: 1000,
  ...(signal ? { signal } : {}),
});

describe("ProviderCaller", () => {
  // Seen under load: every run that ended with requests in flight opened the breaker, and everybody got 503 for ten seconds.
  it("does not take a provider for down because clients left, whatever their aborts are called", async () => {
    const caller = new ProviderCaller(0);
    for (let client = 0; client < 20; client += 1) {
      const leaving = new AbortController();
      const call = caller.call(providerWith(untilAborted), callOf(leaving.signal), "ann");
      leaving.abort(new CacheError("ERR_CACHE_ABORTED", "the last waiter has left"));
      await expect(call).rejects.toThrow("the last waiter has left");
    }
    expect(caller.isOpen(providerWith(untilAborted))).toBe(false);
    expect(
      await caller.call(
        providerWith(async () => answered),
        callOf(),
        "ann",
      ),
    ).toBe(answered);
  });

  it("does not ask again for an answer in an encoding that it cannot read, which would be paid for again", async () => {
    const caller = new ProviderCaller(2);
    let calls = 0;
    let discarded = 0;
    const encoding = providerWith(async () => {
      calls += 1;
      return { status: 200, headers: { "content-encoding": "zstd" }, discard: () => (discarded += 1) } as unknown as UpstreamAnswer;
    });
    await expect(caller.call(encoding, callOf(), "ann")).rejects.toMatchObject({ status: 502, isRetryable: false });
    expect([calls, discarded]).toEqual([1, 1]);
  });

  it("tells an error in such an encoding by its status, without the body, and asks again unless it is told not to", async () => {
    const once = new ProviderCaller(1, undefined, undefined, {
      clock: { now: () => 0, wallNow: () => 1_000 },
      random: { next: () => 0 },
      sleep: async () => {},
    });
    for (const [headers, expected] of [
      [{}, 2],
      [{ "x-should-retry": "false" }, 1],
    ] as const) {
      let calls = 0;
      const encoding = providerWith(async () => {
        calls += 1;
        return {
          status: 429,
          headers: { ...headers, "content-encoding": "zstd" },
          bytes: async () => Buffer.from("garbage"),
          discard: () => {},
        } as unknown as UpstreamAnswer;
      });
      await expect(once.call(encoding, callOf(), "ann")).rejects.toMatchObject({ status: 429, body: Buffer.alloc(0) });
      expect(calls).toBe(expected);
    }
  });

  it("takes it for down after five failures in a row of its own", async () => {
    const opened: string[] = [];
    const caller = new ProviderCaller(0, undefined, (providerId) => opened.push(providerId));
    const failing = providerWith(() => Promise.reject(new Error("connection refused")));
    for (let call = 0; call < 5; call += 1) {
      expect(opened).toEqual([]);
      await expect(caller.call(failing, callOf(), "ann")).rejects.toThrow("could not be reached");
    }
    expect(caller.isOpen(failing)).toBe(true);
    const refused = caller.call(failing, callOf(), "ann");
    await expect(refused).rejects.toThrow("has failed repeatedly");
    await expect(refused).rejects.toMatchObject({ status: 503, headers: { "retry-after": expect.stringMatching(/^([1-9]|10)$/) } });
    expect(opened).toEqual(["one"]);
  });

  it("takes it for down for the tenant alone whose requests fail: they may be why", async () => {
    const caller = new ProviderCaller(0);
    let calls = 0;
    const failing = providerWith(() => {
      calls += 1;
      return Promise.reject(new Error("connection refused"));
    });
    for (let call = 0; call < 9; call += 1) await expect(caller.call(failing, callOf(), "mallory")).rejects.toThrow();
    expect([calls, caller.isOpen(failing), caller.isOpen({ ...failing, id: "on" })]).toEqual([5, true, false]);
    const sound = providerWith(async () => answered);
    expect(await caller.call(sound, callOf(), "ann")).toBe(answered);
    await expect(caller.call(sound, callOf(), "mallory")).rejects.toThrow("has failed repeatedly");
  });

  it("begins anew with a provider that was saved anew, whoever has saved it", async () => {
    const caller = new ProviderCaller(0);
    const failing = { ...providerWith(() => Promise.reject(new Error("connection refused"))), savedAt: 1 };
    for (let call = 0; call < 5; call += 1) await expect(caller.call(failing, callOf(), "ann")).rejects.toThrow("could not be reached");
    const mended = { ...providerWith(async () => answered), savedAt: 2 };
    expect([caller.isOpen(failing), caller.isOpen(mended)]).toEqual([true, false]);
    expect(await caller.call(mended, callOf(), "ann")).toBe(answered);
  });

  it("counts providers of the same id each by itself: of the environment, of the file, and saved", async () => {
    const caller = new ProviderCaller(0);
    const failing: Provider = { ...providerWith(() => Promise.reject(new Error("connection refused"))), source: "environment" };
    const ofFile: Provider = { ...providerWith(async () => answered), source: "file" };
    const saved: Provider = { ...providerWith(async () => answered), source: "database", savedAt: 1 };
    for (let call = 0; call < 5; call += 1) await expect(caller.call(failing, callOf(), "ann")).rejects.toThrow("could not be reached");
    for (const sound of [ofFile, saved]) expect(await caller.call(sound, callOf(), "ann")).toBe(answered);
    await expect(caller.call(failing, callOf(), "ann")).rejects.toThrow("has failed repeatedly");
    expect([failing, ofFile, saved].map((provider) => caller.isOpen(provider))).toEqual([true, false, false]);
  });

  it.each([
    ["a date that is over", new Date(0).toUTCString(), 2],
    ["a date too far away to wait for", new Date(2 ** 42).toUTCString(), 1],
    ["no time", "0", 2],
    ["more seconds than are waited for", "9", 1],
    ["nothing that can be read", "soon", 2],
  ])("tries again, or not, as retry-after says: %s", async (_, retryAfter, calls) => {
    let made = 0;
    const failing = providerWith(async () => {
      made += 1;
      const headers = { "retry-after": retryAfter };
      return { status: 503, headers, bytes: async () => Buffer.alloc(0) } as unknown as UpstreamAnswer;
    });
    await expect(new ProviderCaller(1).call(failing, callOf(), "ann")).rejects.toMatchObject({ status: 503 });
    expect(made).toBe(calls);
  });

  const unavailable = (headers: Record<string, string> = {}): Provider =>
    providerWith(async () => ({ status: 503, headers, bytes: async () => Buffer.alloc(0) }) as unknown as UpstreamAnswer);
  const clock = { now: () => 0, wallNow: () => 1_000 };

  it("waits twice as long before each further attempt, and by chance up to half of that less", async () => {
    const pausesAt = async (chance: number): Promise<number[]> => {
      const pauses: number[] = [];
      const sleep = async (delayMs: number): Promise<void> => void pauses.push(delayMs);
      const caller = new ProviderCaller(3, undefined, undefined, { clock, random: { next: () => chance }, sleep });
      await expect(caller.call(unavailable(), callOf(), "ann")).rejects.toMatchObject({ status: 503 });
      return pauses;
    };
    expect(await pausesAt(0)).toEqual([200, 400, 800]);
    expect(await pausesAt(0.5)).toEqual([150, 300, 600]);
    for (const pause of await pausesAt(1 - Number.EPSILON)) expect([100, 200, 400]).toContain(Math.round(pause));
  });

  it("waits as long as it is told, a date by the wall clock, and chance has no part in it", async () => {
    const pauses: number[] = [];
    const random = {
      next: () => {
        throw new Error("asked for");
      },
    };
    const sleep = async (delayMs: number): Promise<void> => void pauses.push(delayMs);
    const caller = new ProviderCaller(1, undefined, undefined, { clock, random, sleep });
    for (const headers of [{ "retry-after": "3" }, { "retry-after-ms": "70" }, { "retry-after": new Date(6_000).toUTCString() }])
      await expect(caller.call(unavailable(headers as Record<string, string>), callOf(), "ann")).rejects.toMatchObject({ status: 503 });
    expect(pauses).toEqual([3_000, 70, 5_000]);
  });

  it("does not go on waiting when the last one to wait leaves: the call ends with the reason why, and the provider is not called again", async () => {
    for (const means of [undefined, { clock, random: { next: () => 0 }, sleep: untilLeft }]) {
      let calls = 0;
      const leaving = new AbortController();
      const failing = providerWith(async () => {
        calls += 1;
        queueMicrotask(() => setImmediate(() => leaving.abort(new CacheError("ERR_CACHE_ABORTED", "the last waiter has left"))));
        return { status: 503, headers: { "retry-after": "8" }, bytes: async () => Buffer.alloc(0) } as unknown as UpstreamAnswer;
      });
      const began = performance.now();
      await expect(new ProviderCaller(2, undefined, undefined, means).call(failing, callOf(leaving.signal), "ann")).rejects.toThrow(
        "the last waiter has left",
      );
      expect([calls, performance.now() - began < 4_000]).toEqual([1, true]);
    }
  });

  it("does not try a provider again that is another one by then", async () => {
    const caller = new ProviderCaller(2);
    const seen: string[] = [];
    const failing = providerWith(() => {
      seen.push("called");
      return Promise.resolve({
        status: 503,
        headers: { "retry-after-ms": "1" },
        bytes: async () => Buffer.alloc(0),
      } as unknown as UpstreamAnswer);
    });
    const call = { ...callOf(), mayRetry: async () => seen.length < 2, onRetry: () => void seen.push("retried") };
    await expect(caller.call(failing, call, "ann")).rejects.toMatchObject({ status: 503 });
    expect(seen).toEqual(["called", "retried", "called"]);
  });
});
