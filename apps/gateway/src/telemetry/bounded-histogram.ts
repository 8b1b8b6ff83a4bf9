import type { Attributes, Histogram } from "@opentelemetry/api";

/** Series per instrument at most: model names are the callers' choice. What is beyond is counted as one. */
export const MAX_SERIES = 500;

/** What the specification calls the one in which all others are. */
const OVERFLOW: Attributes = { "otel.metric.overflow": true };

/**
 * A histogram whose series are bounded for as long as the process lives. The SDK bounds those of one sending, and goes on sending what it has once sent:
 * as many new ones were added each minute, kept, and sent again every minute.
 */
export class BoundedHistogram {
  readonly #histogram: Histogram;
  readonly #known = new Set<string>();

  constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  record(value: number, attributes: Attributes): void {
    this.#histogram.record(value, this.#isWithin(JSON.stringify(attributes)) ? attributes : OVERFLOW);
  }

  #isWithin(series: string): boolean {
    if (this.#known.has(series)) return true;
    if (this.#known.size >= MAX_SERIES - 1) return false;
    this.#known.add(series);
    return true;
  }
}
