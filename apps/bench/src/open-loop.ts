import { build as buildHistogram } from "hdr-histogram-js";
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

type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

async function sendOne(pool: Pool, request: LoadRequest, onAnswer: ((headers: AnswerHeaders) => void) | undefined): Promise<boolean> {
  try {
    const { pathname } = new URL(request.url);
    const response = await pool.request({ path: pathname, method: "POST", headers: { ...request.headers }, body: request.body });
    await response.body.dump();
    onAnswer?.(response.headers);
    return response.statusCode < 300;
  } catch {
    return false;
  }
}

/** One request and when it is due, in milliseconds from the start. */
export interface DueRequest {
  readonly dueMs: number;
  readonly request: LoadRequest;
}

/** Arrivals of one request at random instants. */
export function* drawArrivals(request: LoadRequest, shape: ArrivalShape): Generator<DueRequest> {
  const run = `${process.pid}-${performance.now()}`;
  let dueMs = 0;
  for (let count = 1; dueMs < shape.seconds * 1000; count += 1) {
    yield { dueMs, request: { ...request, body: request.body.replace(UNIQUE, `${run}-${count}`) } };
    dueMs += (-Math.log(1 - shape.random()) * 1000) / shape.perSecond;
  }
}

/** Waits until the instant: a timer is coarser than the gaps, so it takes most of the way and the event loop the rest. */
async function waitFor(instant: number): Promise<void> {
  for (let left = instant - performance.now(); left > 0; left = instant - performance.now()) {
    const delayMs = left - 1;
    await new Promise<void>((resolve) => (delayMs > 1 ? setTimeout(resolve, delayMs) : setImmediate(resolve)));
  }
}

/** Sends each request when it is due and records its latency from that instant. `onAnswer` is told the headers of each answer. */
export async function runOpenLoop(
  due: Iterable<DueRequest>,
  origin: string,
  signal: AbortSignal,
  onAnswer?: (headers: AnswerHeaders) => void,
): Promise<ArrivalResult> {
  const pool = new Pool(origin, { connections: CONNECTIONS });
  const histogram = buildHistogram({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000 * MICROSECONDS,
    numberOfSignificantValueDigits: 3,
  });
  const beganAt = performance.now();
  const inFlight = new Set<Promise<void>>();
  let failures = 0;
  let sent = 0;
  for (const { dueMs, request } of due) {
    if (signal.aborted) break;
    await waitFor(beganAt + dueMs);
    sent += 1;
    const one: Promise<void> = sendOne(pool, request, onAnswer).then((isGood) => {
      if (!isGood) failures += 1;
      histogram.recordValue(Math.max(1, Math.round((performance.now() - beganAt - dueMs) * MICROSECONDS)));
      inFlight.delete(one);
    });
    inFlight.add(one);
  }
  await Promise.all(inFlight);
  await pool.destroy();
  return {
    sent,
    failures,
    percentiles: SHARES.map((share) => [share, histogram.getValueAtPercentile(share * 100) / MICROSECONDS] as const),
  };
}
