import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SieveQueue } from "./sieve-queue.ts";

/** SIEVE's queue as the paper draws it: a list from the oldest to the newest and the place of the hand. */
class NaiveQueue {
  slots: number[] = [];
  hand = 0;

  peek(): number {
    if (this.hand >= this.slots.length) this.hand = 0;
    return this.slots[this.hand]!;
  }
}

describe("SieveQueue", () => {
  // Of fast-check's own size the lists are ten steps long, and no ring is ever full.
  it("walks, keeps and drops in the order of a plain list with a hand", () => {
    const step = fc.oneof(
      { weight: 60, arbitrary: fc.constant("push") },
      { weight: 40, arbitrary: fc.constant("pass") },
      { weight: 40, arbitrary: fc.constant("drop") },
      { weight: 2, arbitrary: fc.constant("filter") },
      { weight: 1, arbitrary: fc.constant("clear") },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 800, size: "max" }), (steps) => {
        const queue = new SieveQueue();
        const model = new NaiveQueue();
        let next = 0;
        for (const action of steps) {
          if (action === "push") {
            queue.push(next);
            model.slots.push(next);
            next += 1;
          } else if (action === "filter") {
            const before = model.slots.slice(0, model.hand);
            queue.filter((slot) => slot % 5 !== 0);
            model.slots = model.slots.filter((slot) => slot % 5 !== 0);
            model.hand = before.filter((slot) => slot % 5 !== 0).length;
          } else if (action === "clear") {
            queue.clear();
            model.slots = [];
            model.hand = 0;
          } else if (model.slots.length > 0) {
            expect(queue.peek()).toBe(model.peek());
            if (action === "pass") {
              queue.pass();
              model.hand += 1;
            } else {
              queue.drop();
              model.slots.splice(model.hand, 1);
            }
          }
          expect(queue.length).toBe(model.slots.length);
        }
      }),
      { numRuns: 60 },
    );
  });
});
