import { expect, it, onTestFinished, vi } from "vitest";
import { inSlices } from "./in-slices.ts";

const items = Array.from({ length: 1_000 }, (_, index) => index);

it("answers at once when everything does, in order", () => {
  expect(inSlices(items, (item) => item * 2)).toEqual(items.map((item) => item * 2));
  expect(inSlices([], () => 1)).toEqual([]);
});

it("has 256 under way at most, and keeps the order", async () => {
  let [underWay, most] = [0, 0];
  const answers = inSlices(items, async (item) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await Promise.resolve();
    underWay -= 1;
    return item;
  });
  expect(await answers).toEqual(items);
  expect(most).toBe(256);
});

it("takes answers of both kinds, from wherever they begin to take a while", async () => {
  expect(await inSlices(items, (item) => (item > 300 && item % 2 === 0 ? Promise.resolve(item) : item))).toEqual(items);
});

it("waits for the promises of async functions where another class stands in the place of Promise, as with zone.js and bluebird", async () => {
  vi.stubGlobal("Promise", class OtherPromise<T> extends Promise<T> {});
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(await inSlices(items, async (item) => item)).toEqual(items);
});

it("fails with what failed, at once or not, and leaves nothing unhandled behind", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  const failure = new Error("refused");
  const mixed = (at: number) => (item: number) => {
    if (item === at) throw failure;
    return item === at - 1 ? Promise.reject(new Error("nobody sees it")) : item;
  };
  expect(() => inSlices(items, mixed(5))).toThrow(failure);
  await expect(Promise.resolve(inSlices(items, (item) => (item === 700 ? Promise.reject(failure) : item)))).rejects.toBe(failure);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});
