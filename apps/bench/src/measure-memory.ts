/** Heap and buffers after a full collection, in bytes. Needs `--expose-gc`: run it in a task with `execArgv: ["--expose-gc"]`. */
export function settledBytes(): number {
  const { gc } = globalThis;
  if (!gc) throw new Error('memory is measured in a task started with execArgv: ["--expose-gc"]: this process has no gc()');
  let last = Number.POSITIVE_INFINITY;
  // Weak callbacks and array buffers are freed a collection later: repeat until it stands still.
  for (let attempt = 0; attempt < 6; attempt += 1) {
    gc();
    const { heapUsed, external } = process.memoryUsage();
    const now = heapUsed + external;
    if (Math.abs(last - now) < 4096) return now;
    last = now;
  }
  return last;
}

/**
 * Bytes that what `build` returns keeps alive. `external` already contains the array buffers.
 * @returns the bytes and what was built, which the caller must hold until then
 */
export function measureRetained<T>(build: () => T): { readonly bytes: number; readonly built: T } {
  const before = settledBytes();
  const built = build();
  const bytes = settledBytes() - before;
  return { bytes, built };
}
