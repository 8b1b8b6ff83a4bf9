import { describe, expect, it, vi } from "vitest";
import { Cancellation, listenForAbort } from "./cancellation.ts";

describe("a cancellation", () => {
  it("tells every listener once, with its reason, and the real signal too", () => {
    const cancellation = new Cancellation();
    const [first, second, removed] = [vi.fn(), vi.fn(), vi.fn()];
    for (const listener of [first, second, removed]) cancellation.addEventListener("abort", listener);
    cancellation.removeEventListener("abort", removed);
    const { signal } = cancellation;
    expect([cancellation.aborted, signal.aborted]).toEqual([false, false]);
    const reason = new Error("enough");
    cancellation.abort(reason);
    cancellation.abort(new Error("again"));
    expect([first, second, removed].map((listener) => listener.mock.calls.length)).toEqual([1, 1, 0]);
    expect([cancellation.aborted, cancellation.reason, signal.aborted, signal.reason]).toEqual([true, reason, true, reason]);
  });

  it("tells the others when a listener throws, and lets its error go uncaught, as a real signal does", () => {
    const failure = new Error("a listener's own");
    const nextTick = vi.spyOn(process, "nextTick").mockImplementation(() => undefined);
    try {
      const cancellation = new Cancellation();
      const told = vi.fn();
      cancellation.addEventListener("abort", () => {
        throw failure;
      });
      cancellation.addEventListener("abort", told);
      const { signal } = cancellation;
      cancellation.abort(new Error("enough"));
      expect([told.mock.calls.length, signal.aborted]).toEqual([1, true]);
      expect(nextTick.mock.calls.some(([run]) => thrownBy(run as () => void) === failure)).toBe(true);
    } finally {
      nextTick.mockRestore();
    }
  });

  it("gives a signal that is aborted already when it is asked for late, and calls nobody who comes late", () => {
    const cancellation = new Cancellation();
    const reason = new Error("enough");
    cancellation.abort(reason);
    const late = vi.fn();
    cancellation.addEventListener("abort", late);
    cancellation.abort(reason);
    expect(late).not.toHaveBeenCalled();
    expect([cancellation.signal.aborted, cancellation.signal.reason, cancellation.signal]).toEqual([true, reason, cancellation.signal]);
  });
});

/** A signal as the environments of a browser bring it: an EventTarget of their own, which Node's functions for listeners refuse. */
class ForeignSignal {
  readonly listeners: Array<() => void> = [];
  readonly aborted = false;

  addEventListener(_type: string, listener: () => void): void {
    this.listeners.push(listener);
  }

  removeEventListener(): void {}
}

describe("where a browser's environment has put its own signals in place of Node's", () => {
  it("gives a loader such a signal, and listens to a caller's", () => {
    vi.stubGlobal("EventTarget", ForeignSignal);
    vi.stubGlobal(
      "AbortController",
      class {
        readonly signal = new ForeignSignal();
      },
    );
    try {
      expect(new Cancellation().signal).toBeInstanceOf(ForeignSignal);
      const callers = new ForeignSignal();
      const listener = vi.fn();
      listenForAbort(callers, listener);
      expect(callers.listeners).toEqual([listener]);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

function thrownBy(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
