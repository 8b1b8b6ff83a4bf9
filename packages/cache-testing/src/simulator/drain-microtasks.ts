import { setFlagsFromString } from "node:v8";

/**
 * Runs promise callbacks until none is left, without a turn of the event loop: what lets one core run millions of schedules. V8 offers it
 * to JavaScript only under a flag, which is set while the function is compiled. Must not be called from within a promise callback.
 */
function createDrain(): () => void {
  setFlagsFromString("--allow-natives-syntax");
  try {
    return new Function("%PerformMicrotaskCheckpoint()") as () => void;
  } finally {
    setFlagsFromString("--no-allow-natives-syntax");
  }
}

let runPromiseCallbacks: (() => void) | undefined;
let ticks: Array<() => void> = [];

/** Stands in for `process.nextTick` while schedules run: what is left for the end of the callback must run then, not after the schedule. */
function nextTick(callback: (...args: unknown[]) => void, ...args: unknown[]): void {
  ticks.push(args.length === 0 ? callback : () => callback(...args));
}

/**
 * Runs something with `process.nextTick` taken over, so that `drainMicrotasks` runs what it is given. Found the hard way: batched reads
 * left in the next tick, which came when fifty schedules were over, so that in the simulator they all timed out.
 */
export function withTicks<T>(run: () => T): T {
  const { nextTick: own } = process;
  process.nextTick = nextTick;
  try {
    return run();
  } finally {
    process.nextTick = own;
    ticks = [];
  }
}

/** Ends a turn as the event loop does: next ticks, then promise callbacks, until there are none. See `createDrain` and `withTicks`. */
export function drainMicrotasks(): void {
  runPromiseCallbacks ??= createDrain();
  do {
    while (ticks.length > 0) {
      const due = ticks;
      ticks = [];
      for (const tick of due) tick();
    }
    runPromiseCallbacks();
  } while (ticks.length > 0);
}
