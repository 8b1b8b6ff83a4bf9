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

let drain: (() => void) | undefined;

/** See `createDrain`. */
export function drainMicrotasks(): void {
  drain ??= createDrain();
  drain();
}
