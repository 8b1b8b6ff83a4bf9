import { Cancellation } from "@larder/cache-core";
import { expect, it } from "vitest";
import { ItemBatch } from "./item-batch.ts";

it("computes together what is wanted, and is cancelled when nobody waits for any of it any more", async () => {
  const calls: Array<{ positions: readonly number[]; isCancelled: () => boolean }> = [];
  let finish = (_values: string[]): void => undefined;
  const batch = new ItemBatch<string>(3, (positions, cancellation) => {
    calls.push({ positions, isCancelled: () => cancellation.aborted });
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  const [first, second, gone] = [new Cancellation(), new Cancellation(), new Cancellation()];
  const wanted = [batch.want(4, first), batch.want(7, second)];
  const left = batch.want(9, gone).catch((error: unknown) => error);
  gone.abort(new Error("left before the batch did"));
  for (let item = 0; item < 3; item += 1) batch.decide();
  expect(await left).toMatchObject({ message: "left before the batch did" });
  expect(calls.map(({ positions }) => positions)).toEqual([[4, 7]]);
  first.abort(new Error("left"));
  expect(calls[0]?.isCancelled()).toBe(false);
  second.abort(new Error("left"));
  expect(calls[0]?.isCancelled()).toBe(true);
  finish(["a", "b"]);
  expect(await Promise.all(wanted)).toEqual(["a", "b"]);
});
