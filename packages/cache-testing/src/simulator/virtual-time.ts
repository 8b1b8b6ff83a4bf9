/** What happens at an instant. */
interface ScheduledEvent {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

function isBefore(one: ScheduledEvent, other: ScheduledEvent): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** Virtual time: a queue of events by instant, those of one instant in the order in which they were planned. A binary heap. */
export class VirtualTime {
  now = 0;
  /** Events run so far. */
  steps = 0;
  #order = 0;
  readonly #heap: ScheduledEvent[] = [];

  /** Plans an event `delayMs` from now. */
  schedule(delayMs: number, run: () => void): void {
    this.#push(this.#createEvent(delayMs, run));
  }

  /** The same, for an event that may be taken back. @returns the function that does */
  scheduleTimer(delayMs: number, run: () => void): () => void {
    const event = this.#createEvent(delayMs, run);
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** Runs the next event that is due until an instant. @returns whether there was one */
  runNext(until: number): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (!event || event.at > until) {
        this.now = Math.max(this.now, until);
        return false;
      }
      this.#pop();
      if (!event.run) continue;
      this.now = event.at;
      this.steps += 1;
      event.run();
      return true;
    }
  }

  #createEvent(delayMs: number, run: () => void): ScheduledEvent {
    this.#order += 1;
    return { at: this.now + Math.max(0, delayMs), order: this.#order, run };
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(heap[parent] as ScheduledEvent, event)) break;
      heap[index] = heap[parent] as ScheduledEvent;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as ScheduledEvent, heap[child] as ScheduledEvent)) child += 1;
      if (isBefore(last, heap[child] as ScheduledEvent)) break;
      heap[index] = heap[child] as ScheduledEvent;
      index = child;
    }
    heap[index] = last;
  }
}
