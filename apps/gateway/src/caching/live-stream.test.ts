import { describe, expect, it } from "vitest";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import { type EventBatch, type LiveReader, LiveStream } from "./live-stream.ts";

/** A reader that takes so many batches and then wants to be let on. */
class Reader implements LiveReader {
  text = "";
  told = "";
  takes: number;
  #resume: (() => void) | undefined;

  constructor(takes = Number.POSITIVE_INFINITY) {
    this.takes = takes;
  }

  onEvents(batch: EventBatch): boolean {
    this.text += batch.all.toString();
    this.takes -= 1;
    return this.takes > 0;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  async goOn(takes: number): Promise<void> {
    this.takes = takes;
    this.#resume?.();
    await Promise.resolve();
    await Promise.resolve();
  }

  onEnd(): void {
    this.told += "end";
  }

  onFailure(): void {
    this.told += "failure";
  }

  onCut(): void {
    this.told += "cut";
  }
}

const batch = (text: string): EventBatch => {
  const all = Buffer.from(text);
  return { all, lean: all };
};

describe("LiveStream", () => {
  it("lets each reader read at its own pace: a stalled one holds up neither the others nor the upstream", async () => {
    const live = new LiveStream();
    const [fast, slow] = [new Reader(), new Reader(1)];
    live.join(fast);
    live.join(slow);
    for (const text of ["a", "b", "c"]) expect(live.push(batch(text))).toBeUndefined();
    live.end();
    expect([fast.text, fast.told, slow.text, slow.told]).toEqual(["abc", "end", "a", ""]);
    await slow.goOn(9);
    expect([slow.text, slow.told]).toEqual(["abc", "end"]);
  });

  it("tells a slow reader of a failure after everything that came before", async () => {
    const live = new LiveStream();
    const slow = new Reader(1);
    live.join(slow);
    live.push(batch("a"));
    live.push(batch("b"));
    live.fail(new UpstreamFailure("broken", { status: 502 }));
    expect([slow.text, slow.told]).toEqual(["a", ""]);
    await slow.goOn(9);
    expect([slow.text, slow.told]).toEqual(["ab", "failure"]);
  });

  it("gives a late reader what has come, in pieces that do not pile up in its socket", async () => {
    const live = new LiveStream();
    for (let index = 0; index < 10; index += 1) live.push(batch("x".repeat(30_000)));
    const late = new Reader(1);
    live.join(late);
    expect(late.text.length).toBe(60_000);
    await late.goOn(9);
    expect(late.text.length).toBe(300_000);
  });

  it("beyond its bound, cuts off who is a whole window behind others, and holds no more than the window", () => {
    const live = new LiveStream("", 100);
    const [fast, slow] = [new Reader(), new Reader(1)];
    live.join(fast);
    live.join(slow);
    for (let index = 0; index < 50; index += 1) expect(live.push(batch("0123456789"))).toBeUndefined();
    expect([live.isJoinable, fast.text.length, fast.told, slow.text.length, slow.told]).toEqual([false, 500, "", 10, "cut"]);
  });

  it("beyond its bound, waits for a reader that reads alone, and not for one that leaves", async () => {
    const live = new LiveStream("", 25);
    const alone = new Reader(1);
    const leave = live.join(alone);
    let waits = 0;
    for (let index = 0; index < 6; index += 1) {
      const room = live.push(batch("0123456789"));
      if (!room) continue;
      waits += 1;
      await Promise.all([room, alone.goOn(1)]);
    }
    expect([waits > 0, alone.told]).toEqual([true, ""]);
    const room = live.push(batch("0123456789")) ?? live.push(batch("0123456789"));
    expect(room).toBeInstanceOf(Promise);
    leave();
    await room;
    expect(live.push(batch("0123456789"))).toBeUndefined();
  });

  it("keeps what a reader that has left would have been told to itself", async () => {
    const live = new LiveStream();
    const gone = new Reader(1);
    const leave = live.join(gone);
    live.push(batch("a"));
    leave();
    await gone.goOn(9);
    live.push(batch("b"));
    live.end();
    expect([gone.text, gone.told]).toEqual(["a", ""]);
  });
});
