import type { GuardPolicy } from "./guard-policy.ts";
import type { ModelListing } from "./model-listing.ts";
import { flattenPrices, type PricePath, withPrices } from "./prices.ts";
import { type Acceptance, priceKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";

/** What the price guard remembers and may ask. */
export interface PriceGuardContext {
  readonly source: string;
  readonly policy: GuardPolicy;
  /** Epoch milliseconds of the run. */
  readonly now: number;
  /** What is held back already, by key. */
  readonly held: ReadonlyMap<string, QuarantineEntry>;
  /** What was accepted by hand, by key. */
  readonly accepted: ReadonlyMap<string, Acceptance>;
  /** The list's moves were accepted by hand as a whole: only values are judged. */
  readonly believesMoves: boolean;
  /** What the other sources say that this price is. */
  otherPrices(id: string, path: PricePath): readonly number[];
}

/** A listing with the prices that may be believed, and what was held back. */
export interface GuardedPrices {
  readonly listing: ModelListing;
  readonly entries: readonly QuarantineEntry[];
  /** Whether a price jumped, believed or not. */
  readonly hasJumped: boolean;
}

/** Reasons that time or another source can overcome; the others stay until accepted by hand or no longer offered. */
const CONFIRMABLE: ReadonlySet<QuarantineReason> = new Set(["jump", "dropped-to-zero", "price-withdrawn"]);

function judgeValue(offered: number, path: PricePath, policy: GuardPolicy): QuarantineReason | undefined {
  if (!Number.isFinite(offered)) return "not-a-number";
  if (offered < 0) return "negative";
  const bound = path.startsWith("unit.") ? policy.maxUsdPerUnit : policy.maxUsdPerMillion;
  return offered >= bound ? "above-bound" : undefined;
}

/** A free model that gets a price is no jump: promotions end. The bound still holds for it. */
function judgeMove(offered: number, kept: number | undefined, policy: GuardPolicy): QuarantineReason | undefined {
  if (kept === undefined || kept === 0 || offered === kept) return undefined;
  if (offered === 0) return "dropped-to-zero";
  // Prices are decimal fractions: 5 times 0.06 must not pass as 4.999999999999999 times.
  const factor = Math.max(offered / kept, kept / offered) * (1 + 1e-9);
  return factor >= policy.maxPriceFactor ? "jump" : undefined;
}

function agrees(a: number, b: number, tolerance: number): boolean {
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

function isConfirmed(entry: QuarantineEntry, id: string, path: PricePath, context: PriceGuardContext): boolean {
  if (!CONFIRMABLE.has(entry.reason)) return false;
  if (entry.expiresAt !== undefined && context.now >= entry.expiresAt) return true;
  const { offered } = entry;
  return offered !== null && context.otherPrices(id, path).some((price) => agrees(price, offered, context.policy.agreementTolerance));
}

function toEntry(
  id: string,
  path: PricePath,
  reason: QuarantineReason,
  kept: number | undefined,
  offered: number | undefined,
  context: PriceGuardContext,
): QuarantineEntry {
  const key = priceKey(context.source, id, path);
  // JSON knows no NaN.
  const told = offered !== undefined && Number.isFinite(offered) ? offered : null;
  const held = context.held.get(key);
  const since = held && held.offered === told ? held.since : context.now;
  const confirmMs = CONFIRMABLE.has(reason) ? context.policy.priceConfirmMs : Number.POSITIVE_INFINITY;
  return {
    key,
    source: context.source,
    reason,
    id,
    path,
    ...(kept !== undefined && { kept }),
    offered: told,
    since,
    ...(Number.isFinite(confirmMs) && { expiresAt: since + confirmMs }),
  };
}

/** Input and output prices are what bills are made of: one that is no longer told is held, another may come and go. */
function isEssential(path: PricePath): boolean {
  return path === "input" || path === "output";
}

/**
 * Judges every price of one listing against what was believed so far. A price that is held back leaves the former one in place, or the
 * price unknown when there was none; the model itself and its other prices are never touched by it.
 */
export function guardPrices(
  id: string,
  offered: ModelListing,
  believed: ModelListing | undefined,
  context: PriceGuardContext,
): GuardedPrices {
  const prices = flattenPrices(offered);
  const known = believed ? flattenPrices(believed) : new Map<PricePath, number>();
  const entries: QuarantineEntry[] = [];
  const result = new Map(prices);
  let hasJumped = false;

  const hold = (path: PricePath, reason: QuarantineReason, price: number | undefined): void => {
    const kept = known.get(path);
    const entry = toEntry(id, path, reason, kept, price, context);
    const accepted = context.accepted.get(entry.key);
    const isReadable = entry.offered !== null || reason === "price-withdrawn";
    if (accepted && isReadable && accepted.offered === entry.offered) return;
    if (isConfirmed(entry, id, path, context)) return;
    entries.push(entry);
    if (kept === undefined) result.delete(path);
    else result.set(path, kept);
  };

  for (const [path, price] of prices) {
    const move =
      judgeValue(price, path, context.policy) ?? (context.believesMoves ? undefined : judgeMove(price, known.get(path), context.policy));
    if (!move) continue;
    hasJumped ||= known.size > 0 && move !== "not-a-number";
    hold(path, move, price);
  }
  for (const path of known.keys()) if (isEssential(path) && !prices.has(path)) hold(path, "price-withdrawn", undefined);
  return { listing: entries.length === 0 ? offered : withPrices(offered, result), entries, hasJumped };
}
