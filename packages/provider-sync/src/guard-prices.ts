import type { GuardPolicy } from "./guard-policy.ts";
import type { ModelListing } from "./model-listing.ts";
import { flattenPrices, type PricePath, parseTierPath, withPrices } from "./prices.ts";
import { type Acceptance, priceKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";
import type { LapsedPrice, ListedModel } from "./snapshot.ts";

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

/** The prices of one listing or endpoint that may be believed, and what was held back. */
export interface JudgedPrices {
  readonly prices: ReadonlyMap<PricePath, number>;
  readonly entries: readonly QuarantineEntry[];
  /** Prices that moved much or went, believed or not: many such listings make the whole list an error. */
  readonly moves: readonly string[];
}

/** A listing with the prices that may be believed, and what was held back. */
export interface GuardedPrices extends Pick<JudgedPrices, "entries" | "moves"> {
  readonly listing: ModelListing;
  /** What it told until lately. */
  readonly lapsedPrices: readonly LapsedPrice[];
}

/** Prices that one listing may have lapsed at most: paths are few, but for lengths of tiers that an upstream makes up. */
const MAX_LAPSED = 32;

/** Reasons that time or another source can overcome; the others stay until accepted by hand or no longer offered. */
const CONFIRMABLE: ReadonlySet<QuarantineReason> = new Set(["jump", "dropped-to-zero", "price-withdrawn"]);

/** Reasons that a value alone is enough for, whatever was known: no price at all. */
const WORTHLESS: ReadonlySet<QuarantineReason> = new Set(["not-a-number", "negative", "above-bound"]);

function judgeValue(offered: number, path: PricePath, policy: GuardPolicy): QuarantineReason | undefined {
  if (!Number.isFinite(offered)) return "not-a-number";
  if (offered < 0) return "negative";
  const bound = path.startsWith("unit.") ? policy.maxUsdPerUnit : policy.maxUsdPerMillion;
  return offered >= bound ? "above-bound" : undefined;
}

/** Prices are decimal fractions: 5 times 0.06 must not pass as 4.999999999999999 times. */
function factorOf(offered: number, kept: number): number {
  return Math.max(offered / kept, kept / offered) * (1 + 1e-9);
}

/** A free model that gets a price is no jump, but for a price that hardly any model has: promotions end. */
function judgeMove(offered: number, path: PricePath, kept: number | undefined, policy: GuardPolicy): QuarantineReason | undefined {
  if (kept === undefined || offered === kept) return undefined;
  if (kept === 0) return offered >= policy.maxUsdFromFree && !path.startsWith("unit.") ? "jump" : undefined;
  if (offered === 0) return "dropped-to-zero";
  return factorOf(offered, kept) >= policy.maxPriceFactor ? "jump" : undefined;
}

/** Whether a price moved so far that it counts towards a move of the whole list. */
function isMassMove(offered: number, kept: number | undefined, policy: GuardPolicy): boolean {
  if (kept === undefined || offered === kept) return false;
  return kept === 0 || offered === 0 || factorOf(offered, kept) >= Math.min(policy.massMoveFactor, policy.maxPriceFactor);
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
  // A price that cannot be read and one that is no longer told are both offered as none: the time of the one is not the other's.
  const isSame = held !== undefined && held.offered === told && held.reason === reason;
  // A clock that was ahead must not hold up the time for as long.
  const since = isSame ? Math.min(held.since, context.now) : context.now;
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
  return path === "input" || path === "output" || (path.startsWith("endpoint[") && /\]\.(?:input|output)$/.test(path));
}

/** The listings whose input or output price is none: held back as unreadable, negative or a wrong unit. */
export function idsWithoutPrice(entries: readonly QuarantineEntry[]): Set<string> {
  return new Set(entries.flatMap(({ id, path, reason }) => (id && path && isEssential(path) && WORTHLESS.has(reason) ? [id] : [])));
}

/**
 * What a price is judged against: the one of its path, told in the last list or lapsed since, else that of the tier nearest in length.
 * Lengths change (200,000 to 200,001 tokens), and a tier with another length must not be a price that nobody knows.
 */
function referencePrice(path: PricePath, known: ReadonlyMap<PricePath, number>): number | undefined {
  const exact = known.get(path);
  const tier = exact === undefined ? parseTierPath(path) : undefined;
  if (!tier) return exact;
  let nearest: { readonly distance: number; readonly price: number } | undefined;
  for (const [other, price] of known) {
    const candidate = parseTierPath(other);
    if (candidate?.field !== tier.field) continue;
    const distance = Math.abs(Math.log(candidate.aboveTokens / tier.aboveTokens));
    if (!nearest || distance < nearest.distance) nearest = { distance, price };
  }
  return nearest?.price;
}

/**
 * Judges prices by path against what was believed so far. A price that is held back leaves the former one in place, or the price unknown
 * when there was none; the others are not touched by it.
 */
export function judgePrices(
  id: string,
  offered: ReadonlyMap<PricePath, number>,
  known: ReadonlyMap<PricePath, number>,
  lapsed: ReadonlyMap<PricePath, number>,
  context: PriceGuardContext,
): JudgedPrices {
  const { policy, believesMoves } = context;
  const before = lapsed.size === 0 ? known : new Map([...lapsed, ...known]);
  const entries: QuarantineEntry[] = [];
  const moves: string[] = [];
  const prices = new Map(offered);

  const hold = (path: PricePath, reason: QuarantineReason, price: number | undefined, kept: number | undefined): void => {
    const entry = toEntry(id, path, reason, kept, price, context);
    const accepted = context.accepted.get(entry.key);
    const isReadable = entry.offered !== null || reason === "price-withdrawn";
    if (accepted && isReadable && accepted.offered === entry.offered) return;
    if (isConfirmed(entry, id, path, context)) return;
    entries.push(entry);
    if (kept === undefined) prices.delete(path);
    else prices.set(path, kept);
  };

  for (const [path, price] of offered) {
    // A minor price that was gone and comes back as free is news: the one such case of the stored histories stayed free.
    const isBackAsFree = price === 0 && lapsed.has(path) && !known.has(path) && !isEssential(path);
    const kept = isBackAsFree ? undefined : referencePrice(path, before);
    const wrong = judgeValue(price, path, policy);
    // One that cannot be read is as good as gone: it counts where its absence would.
    const isMove =
      wrong === "not-a-number" ? known.has(path) && isEssential(path) : wrong ? known.size > 0 : isMassMove(price, kept, policy);
    if (isMove) moves.push(`${id}#${path}=${price}`);
    const reason = wrong ?? (believesMoves ? undefined : judgeMove(price, path, kept, policy));
    if (reason) hold(path, reason, price, kept);
  }
  for (const [path, kept] of known) {
    if (!isEssential(path) || offered.has(path)) continue;
    moves.push(`${id}#${path}=`);
    if (!believesMoves) hold(path, "price-withdrawn", undefined, kept);
  }
  return { prices, entries, moves };
}

/** What was told and is no longer, newest first where there is too much of it; what was told before that, until its time is over. */
function lapse(
  known: ReadonlyMap<PricePath, number>,
  prices: ReadonlyMap<PricePath, number>,
  former: readonly LapsedPrice[],
  { now, policy }: PriceGuardContext,
): LapsedPrice[] {
  const fresh = [...known].flatMap(([path, price]) => (prices.has(path) ? [] : [{ path, price, lapsedAt: now }]));
  const remembered = former.filter(({ path, lapsedAt }) => !prices.has(path) && !known.has(path) && now - lapsedAt < policy.priceConfirmMs);
  return [...fresh, ...remembered].slice(0, MAX_LAPSED);
}

/** Judges every price of one listing against what was believed so far; the model itself is never touched by it. */
export function guardPrices(
  id: string,
  offered: ModelListing,
  believed: ListedModel | undefined,
  context: PriceGuardContext,
): GuardedPrices {
  const told = flattenPrices(offered);
  const known = believed ? flattenPrices(believed.listing) : new Map<PricePath, number>();
  const former = believed?.lapsedPrices ?? [];
  const { prices, entries, moves } = judgePrices(id, told, known, new Map(former.map(({ path, price }) => [path, price])), context);
  return {
    listing: entries.length === 0 ? offered : withPrices(offered, prices),
    lapsedPrices: lapse(known, prices, former, context),
    entries,
    moves,
  };
}
