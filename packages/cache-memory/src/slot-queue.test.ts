import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlotQueue } from "./slot-queue.ts";

describe("SlotQueue", () => {
  it("gives slots back in the order in which they came, whatever its ring does meanwhile", () => {
    const step = fc.tuple(fc.constantFrom("push", "shift", "filter"), fc.integer({ min: 1, max: 200 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const queue = new SlotQueue();
        let model: number[] = [];
        let next = 0;
        for (const [action, count] of steps) {
          if (action === "filter") {
            queue.filter((slot) => slot % 7 !== 0);
            model = model.filter((slot) => slot % 7 !== 0);
          }
          for (let turn = 0; turn < count && action !== "filter"; turn += 1) {
            if (action === "push") {
              queue.push(next);
              model.push(next);
              next += 1;
            } else if (model.length > 0) expect(queue.shift()).toBe(model.shift());
          }
          expect(queue.length).toBe(model.length);
        }
        while (model.length > 0) expect(queue.shift()).toBe(model.shift());
      }),
    );
  });
});
