import { ACKNOWLEDGED, READ, type Row, RunLog, WRITE } from "./run-log.ts";

/** A read that gave something older, or newer, than it may. */
export interface Violation {
  readonly rule: "own write" | "bounded staleness" | "from the future";
  readonly process: number;
  readonly key: number;
  readonly version: number;
  readonly expected: number;
  /** Milliseconds between the promise's begin and the read's. */
  readonly lateMs: number;
}

export interface Verdict {
  readonly reads: number;
  readonly writes: number;
  readonly violations: readonly Violation[];
  /** The longest time after a propagated invalidation in which a read of another process gave something older, in milliseconds. */
  readonly longestStaleMs: number;
}

/** From an instant on, reads must give at least this version. */
interface Floor {
  readonly sinceNs: number;
  readonly version: number;
}

const byBegin = (left: Row, right: Row): number => left.beginNs - right.beginNs;

/** Floors in time, each at least as high as those before. */
function rising(floors: Floor[]): Floor[] {
  floors.sort((left, right) => left.sinceNs - right.sinceNs);
  let highest = 0;
  return floors.map(({ sinceNs, version }) => {
    highest = Math.max(highest, version);
    return { sinceNs, version: highest };
  });
}

/** The last floor that began before an instant: walks forward with reads in order. */
function cursor(floors: readonly Floor[]): (atNs: number) => Floor | undefined {
  let next = 0;
  return (atNs) => {
    while (next < floors.length && (floors[next] as Floor).sinceNs < atNs) next += 1;
    return floors[next - 1];
  };
}

function floorsOf(rows: readonly Row[], shiftNs: number, isTaken: (row: Row) => boolean): Floor[] {
  return rising(rows.filter(isTaken).map(({ endNs, version }) => ({ sinceNs: endNs + shiftNs, version })));
}

/**
 * Checks what several processes logged. With one version per key that only counts up this is linear; no linearizability checker is
 * needed. The rules: a read begun after an invalidation finished on its own process gives at least that version (I1), Redis up or down;
 * a read begun on any process `boundMs` after an invalidation was told as propagated does too (I3); no read gives a version that was
 * not yet begun to be written.
 */
export function checkLogs(logs: readonly Uint8Array[], boundMs: number): Verdict {
  const perProcess = logs.map((bytes) => [...RunLog.rows(bytes)].sort(byBegin));
  const keys = new Set(perProcess.flat().map(({ key }) => key));
  const violations: Violation[] = [];
  let [reads, writes, longestStaleMs] = [0, 0, 0];
  for (const key of keys) {
    const ofKey = perProcess.map((rows) => rows.filter((row) => row.key === key));
    const changes = ofKey.flat().filter(({ kind }) => kind !== READ);
    const isPropagated = (row: Row): boolean => row.kind === ACKNOWLEDGED || (row.kind === WRITE && row.flag === 1);
    const bounded = floorsOf(changes, boundMs * 1e6, isPropagated);
    const atOnce = floorsOf(changes, 0, isPropagated);
    const begunAt = new Map(changes.filter(({ kind }) => kind === WRITE).map(({ version, beginNs }) => [version, beginNs]));
    writes += begunAt.size;
    ofKey.forEach((rows, process) => {
      const own = cursor(floorsOf(rows, 0, ({ kind }) => kind === WRITE));
      const [late, soon] = [cursor(bounded), cursor(atOnce)];
      for (const { kind, beginNs, endNs, version } of rows) {
        if (kind !== READ) continue;
        reads += 1;
        const judge = (rule: Violation["rule"], floor: Floor | undefined): void => {
          if (!floor || version >= floor.version) return;
          violations.push({ rule, process, key, version, expected: floor.version, lateMs: (beginNs - floor.sinceNs) / 1e6 });
        };
        judge("own write", own(beginNs));
        judge("bounded staleness", late(beginNs));
        const newest = soon(beginNs);
        if (newest && version < newest.version) {
          // Counted from the first floor that the read missed.
          const missed = atOnce.find((floor) => floor.version > version) as Floor;
          longestStaleMs = Math.max(longestStaleMs, (beginNs - missed.sinceNs) / 1e6);
        }
        const begun = begunAt.get(version);
        if (version > 0 && (begun === undefined || begun > endNs)) judge("from the future", { sinceNs: begun ?? endNs, version: Infinity });
      }
    });
  }
  return { reads, writes, violations, longestStaleMs };
}
