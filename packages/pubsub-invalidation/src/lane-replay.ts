import { ablated, decodeBody, type ResetReason } from "@larder/cache-core";
import type { LaneContext } from "./lane-context.ts";
import type { LaneOrder } from "./lane-order.ts";
import { count, isGenuine, tell } from "./lane-teller.ts";
import { parseLogEntry, parseLogPage } from "./parse-reply.ts";
import { replay } from "./scripts.ts";

/** Log entries asked for at once. */
const PAGE = 500;
/** Pages of one replay; a longer gap costs more than loading what is asked for anew. */
const MAX_PAGES = 20;
/** Log entries read at a baseline: as many as the version record keeps keys. */
const RECALLED = 1_000;
/** How many of them at once: at every start and in each lane, so that neither the server nor a heartbeat behind them waits for long. */
const RECALLED_AT_ONCE = 100;

/**
 * Reads a lane's log from the first place in doubt: what was heard since may have stood at a place that was not its own.
 * @param seqFloor tells up to where the server has said that it counts
 * @returns why everything held must go, if the log does not cover what was missed
 * @throws whatever the port throws
 */
export async function replayLog(context: LaneContext, order: LaneOrder, seqFloor: () => number): Promise<ResetReason | undefined> {
  const { port, counters, timeoutMs } = context;
  const { baselines } = order;
  for (let pages = 0; pages <= MAX_PAGES; pages += 1) {
    const floor = Math.max(order.seq, seqFloor());
    const ahead = [...order.ahead];
    const page = parseLogPage(await port.run(replay, order.keys, [String(order.verified + 1), String(PAGE)], timeoutMs));
    if (order.baselineDue !== undefined || order.baselines !== baselines) return undefined;
    // A record that counts less far than what was heard has lost writes.
    if (page === undefined || page.epoch !== order.epoch || page.seq < floor) return "epoch-changed";
    // Heard before the log was asked, and beyond what it counts: nobody was given that place.
    for (const seq of ahead) if (seq > page.seq) order.ahead.delete(seq);
    if (ablated.has("replay")) order.seq = order.verified = page.seq;
    if (!page.entries.every((entry) => takeEntry(context, order, entry))) return "log-lost";
    if (order.verified >= page.seq) {
      counters.replays += 1;
      return undefined;
    }
    // The record counts further than the log goes: its end is gone.
    if (page.entries.length === 0) return "log-lost";
  }
  return "overflow";
}

/** @returns whether the entry follows on what is known, and says something that can be understood */
function takeEntry(context: LaneContext, order: LaneOrder, raw: unknown): boolean {
  const entry = parseLogEntry(raw);
  if (entry === undefined) return false;
  const { seq, body } = entry;
  if (seq <= order.verified) return true;
  const decoded = decodeBody(body);
  // An invalidation that this version of larder cannot read must still be obeyed: everything may be meant.
  if (seq !== order.verified + 1 || !decoded || !isGenuine(context, decoded)) return false;
  const learnt = { epoch: order.epoch, seq, ...decoded };
  tell(context, order, learnt);
  order.verified = seq;
  if (seq <= order.seq) return true;
  context.counters.replayed += 1;
  count(context, learnt);
  order.advance(seq);
  return true;
}

/**
 * Puts the keys and tags that were invalidated last before a baseline into its record: a check tells how many places there were, and not of what.
 * Nothing is told to the cache, which begins anew. What the log has let go, or nobody can read, is left to the server that serves the value.
 * @throws whatever the port throws
 */
export async function recallPlaces(context: LaneContext, order: LaneOrder): Promise<void> {
  const { baselines, record, seq } = order;
  for (let from = Math.max(1, seq - RECALLED + 1); from <= seq; from += RECALLED_AT_ONCE) {
    const args = [String(from), String(RECALLED_AT_ONCE)];
    const page = parseLogPage(await context.port.run(replay, order.keys, args, context.timeoutMs));
    if (order.baselines !== baselines || page?.epoch !== order.epoch || page.seq < seq) return;
    for (const raw of page.entries) {
      const entry = parseLogEntry(raw);
      const decoded = entry && decodeBody(entry.body);
      // Patterns, and an invalidation of all, stand in the record that the check has read.
      const isNews = decoded?.target.kind === "key" || decoded?.target.kind === "tag";
      if (entry && decoded && isNews && isGenuine(context, decoded)) record?.apply(entry.seq, decoded.target);
    }
  }
  order.isRecalled = true;
}
