import { build as buildHistogram, type Histogram } from "hdr-histogram-js";
import { Pool } from "undici";
import { type LoadRequest, UNIQUE } from "./load-generator.ts";

// Open loop: requests are due at instants that do not depend on the answers, as with real users. A closed loop stops asking while the
// server stands still and so never sees the wait (coordinated omission); here a request that leaves late is measured from the instant at
// which it was due, so that a pause of the server, or of this process, is in the figures.

/** How requests arrive. */
export interface ArrivalShape {
  /** Arrivals a second, > 0, exponentially distributed around it. */
  readonly perSecond: number;
  readonly seconds: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** What was seen, in milliseconds from the instant due. */
export interface ArrivalResult {
  readonly sent: number;
  readonly failures: number;
  /** Latency at each of the shares asked for. */
  readonly percentiles: ReadonlyArray<readonly [share: number, latencyMs: number]>;
}

const SHARES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1];
const CONNECTIONS = 128;
const MICROSECONDS = 1000;

async function sendOne(pool: Pool, path: string, request: LoadRequest, body: string): Promise<boolean> {
  try {
    const response = await pool.request({ path, method: "POST", headers: { ...request.headers }, body });
    await response.body.dump();
    return response.statusCode < 300;
  } catch {
    return false;
  }
}

/** Sends requests at the instants that the shape draws and records each latency from the instant it was due. */
export async function runOpenLoop(request: LoadRequest, shape: ArrivalShape, signal: AbortSignal): Promise<ArrivalResult> {
  const { origin, pathname } = new URL(request.url);
  const pool = new Pool(origin, { connections: CONNECTIONS });
  const histogram: Histogram = buildHistogram({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000 * MICROSECONDS,
    numberOfSignificantValueDigits: 3,
  });
  const beganAt = performance.now();
  const endsAt = beganAt + shape.seconds * 1000;
  let failures = 0;
  let sent = 0;
  const inFlight = new Set<Promise<void>>();
  let dueAt = beganAt;
  while (dueAt < endsAt && !signal.aborted) {
    const now = performance.now();
    if (now < dueAt) {
      // A timer is coarser than the gaps: wait for most of it, then yield.
      await new Promise<void>((resolve) => (dueAt - now > 2 ? setTimeout(resolve, dueAt - now - 1) : setImmediate(resolve)));
      continue;
    }
    const due = dueAt;
    sent += 1;
    const one: Promise<void> = sendOne(pool, pathname, request, request.body.replace(UNIQUE, `${process.pid}-${beganAt}-${sent}`)).then(
      (isGood) => {
        if (!isGood) failures += 1;
        histogram.recordValue(Math.max(1, Math.round((performance.now() - due) * MICROSECONDS)));
        inFlight.delete(one);
      },
    );
    inFlight.add(one);
    dueAt += (-Math.log(1 - shape.random()) * 1000) / shape.perSecond;
  }
  await Promise.all(inFlight);
  await pool.destroy();
  return {
    sent,
    failures,
    percentiles: SHARES.map((share) => [share, histogram.getValueAtPercentile(share * 100) / MICROSECONDS] as const),
  };
}
