// Work on thousands of models that must not hold up a process that serves. A generator does it in slices and stops between them; who
// runs it decides what happens there: nothing (`finish`), or a turn of the event loop (`finishInTurns`). The work is written once.

/** Items between two stops: about a millisecond of the dearest work. */
const SLICE_ITEMS = 256;

/** Work in slices, and what comes of it. */
export type Sliced<T> = Generator<void, T, void>;

/** Does the work for each item, stopping after every slice. Fewer items than a slice: no stop. */
export function* forEachInSlices<T>(items: Iterable<T>, work: (item: T) => void): Sliced<void> {
  let done = 0;
  for (const item of items) {
    work(item);
    done += 1;
    if (done % SLICE_ITEMS === 0) yield;
  }
}

/** Stops once after work on so many items that was done in one go, for example sorting. */
export function* stopAfter(items: number): Sliced<void> {
  if (items >= SLICE_ITEMS) yield;
}

/** All slices at once. */
export function finish<T>(sliced: Sliced<T>): T {
  let step = sliced.next();
  while (!step.done) step = sliced.next();
  return step.value;
}

/** Lets everything else that waits have its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One slice a turn of the event loop. */
export async function finishInTurns<T>(sliced: Sliced<T>): Promise<T> {
  let step = sliced.next();
  while (!step.done) {
    await nextTurn();
    step = sliced.next();
  }
  return step.value;
}
