import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { LoadGenerator } from "../load-generator.ts";
import { singleCell } from "../measure.ts";
import type { Cell, ScenarioContext, Table } from "../scenario.ts";
import { median } from "../statistics.ts";
import { chatBody, type Fleet, requestTo, startGateway } from "./gateway-fleet.ts";

const CONNECTIONS = 8;
/** What the collector's own rhythm adds and takes within a minute, in megabytes. */
const FLAT_MB_PER_MINUTE = 5;

/** Seconds of full load; `--soak MINUTES` decides otherwise. Ten minutes are what the project asks of itself. */
export function planSoak(isQuick: boolean, minutes: number | undefined): number {
  return minutes === undefined ? (isQuick ? 1 : 60) : minutes * 60;
}

/** Resident memory of a process in megabytes; `undefined` where it cannot be told: the process is gone, or the machine, as a small image is, without `ps`. */
async function residentMegabytes(pid: number): Promise<number | undefined> {
  const ofLinux = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const text = /^VmRSS:\s+(\d+) kB$/m.exec(ofLinux)?.[1] ?? (await askPs(pid));
  return text === undefined ? undefined : Number(text) / 1024;
}

async function askPs(pid: number): Promise<string | undefined> {
  try {
    return (await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)])).stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Samples the memory until told to stop. @returns megabytes and when, in milliseconds from the start */
async function watchMemory(
  pid: number,
  everyMs: number,
  isOver: () => boolean,
): Promise<Array<readonly [atMs: number, megabytes: number]>> {
  const samples: Array<readonly [number, number]> = [];
  const startedAt = performance.now();
  while (!isOver()) {
    const megabytes = await residentMegabytes(pid);
    if (megabytes !== undefined) samples.push([performance.now() - startedAt, megabytes]);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return samples;
}

const middleOf = (samples: ReadonlyArray<readonly [number, number]>, from: number, to: number): number =>
  median(samples.slice(Math.floor(samples.length * from), Math.max(1, Math.ceil(samples.length * to))).map(([, megabytes]) => megabytes));

/** Hits, misses and streams of both together, for long: whether anything fails, and whether memory grows. */
export async function measureSoak(fleet: Fleet, generator: LoadGenerator, context: ScenarioContext): Promise<Table> {
  const seconds = planSoak(context.quick, context.soakMinutes);
  const larder = await startGateway(context, { gateway: "larder", upstreamPort: fleet.upstream });
  const bodies = [{}, { isUnique: true }, { stream: true }, { stream: true, isUnique: true }].map(chatBody);
  let isOver = false;
  const watching = watchMemory(larder.pid, Math.max(100, (seconds * 1000) / 200), () => isOver);
  const ticking = setInterval(() => context.progress.update(0.97, "soak"), 1_000);
  const results = await Promise.all(
    bodies.map((body) => generator.run(requestTo(larder.port, body), { connections: CONNECTIONS, seconds }, context.signal)),
  ).finally(() => {
    isOver = true;
    clearInterval(ticking);
  });
  const samples = await watching;
  await larder.stop();
  const requests = results.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond * seconds, 0);
  const failures = results.reduce((sum, result) => sum + result.failures, 0);
  const [middle, end] = [middleOf(samples, 0.4, 0.6), middleOf(samples, 0.8, 1)];
  // From the middle of the one window to the middle of the other: 0.4 of the time.
  const growth = (end - middle) / ((0.4 * seconds) / 60);
  const isLong = seconds >= 60;
  const memoryCell = (megabytes: number): Cell =>
    Number.isNaN(megabytes) ? { kind: "missing", why: "the memory of its process could not be read" } : singleCell(megabytes);
  return {
    id: "soak",
    title: `${seconds} s at full load: hits, misses and streams of both, ${CONNECTIONS} connections each`,
    columns: [
      { id: "requests", title: "requests", unit: "requests", better: "none" },
      { id: "failures", title: "failed", unit: "requests", better: "lower" },
      { id: "middle", title: "resident memory half way", unit: "MB", better: "lower" },
      { id: "end", title: "at the end", unit: "MB", better: "lower" },
      ...(isLong ? [{ id: "growth", title: "growth", unit: "MB/minute", better: "lower" as const }] : []),
    ],
    rows: [
      {
        contender: "larder",
        role: "ours",
        cells: {
          requests: singleCell(Math.round(requests)),
          failures: singleCell(failures),
          middle: memoryCell(middle),
          end: memoryCell(end),
          ...(isLong ? { growth: memoryCell(growth) } : {}),
        },
      },
    ],
    targets: [
      { contender: "larder", column: "failures", text: `0 errors (${failures})`, isMet: failures === 0 },
      ...(isLong && !Number.isNaN(growth)
        ? [
            {
              contender: "larder",
              column: "growth",
              text: `flat memory: at most ${FLAT_MB_PER_MINUTE} MB a minute (${growth.toFixed(1)})`,
              isMet: growth <= FLAT_MB_PER_MINUTE,
            },
          ]
        : []),
    ],
    notes: ["One process that fills its cache on the way. --soak MINUTES makes it longer; ten are what the project asks of itself."],
  };
}
