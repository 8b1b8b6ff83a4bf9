import { z } from "zod";

/** A price as upstreams write it: decimal string or number. Anything else fails the item's validation of that field. */
export const looseNumber = z.union([z.string(), z.number()]).nullish().catch(undefined);

/** A price field. What is neither text nor number nor absent becomes `"invalid"`, which reads as `NaN` and is quarantined. */
export const loosePrice = z.union([z.string(), z.number()]).nullish().catch("invalid");
/** A text that upstreams may leave out, set to null or to "". */
export const looseText = z.string().nullish().catch(undefined);
/** A flag that upstreams may leave out or set to null. */
export const looseFlag = z.boolean().nullish().catch(undefined);
/** A list of texts that upstreams may leave out or set to null. */
export const looseTexts = z.array(z.string()).nullish().catch(undefined);

/** A list that upstreams may leave out, of objects of one shape; one of another shape goes alone. */
export function looseList<Item extends z.ZodType>(item: Item): z.ZodType<ReadonlyArray<z.output<Item>> | undefined> {
  const one = item.optional().catch(undefined);
  return z
    .array(one)
    .nullish()
    .catch(undefined)
    .transform((items) => items?.filter((entry): entry is z.output<Item> => entry !== undefined));
}

/** A count of tokens: an integer > 0, else unknown. Upstreams write 0 and 1e999 for "not applicable". */
export function tokenCount(value: string | number | null | undefined): number | undefined {
  // Digits alone: `Number` also reads "0x10" and " 1 ".
  const count = typeof value === "string" ? Number(/^\d{1,16}$/.test(value) ? value : "") : value;
  return count !== undefined && count !== null && Number.isSafeInteger(count) && count > 0 ? count : undefined;
}

/** A text, or `undefined` for null and "". */
export function text(value: string | null | undefined): string | undefined {
  return value ? value : undefined;
}

/** The last instant that a `Date` can tell. */
const MAX_INSTANT = 8.64e15;

/** Epoch milliseconds from epoch seconds; unknown where that is no plausible instant. */
export function fromEpochSeconds(value: number | null | undefined): number | undefined {
  const at = value !== undefined && value !== null && value > 0 ? Math.round(value * 1000) : undefined;
  return at !== undefined && at <= MAX_INSTANT ? at : undefined;
}

/** What else begins like a date is guessed at by `Date.parse`, in the machine's own zone. */
const ISO_DATE = /^\d{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}:\d{2}[\d:.]*(?:Z|[+-]\d{2}:?\d{2})?)?)?$/i;

/** Epoch milliseconds from an ISO date or month; unknown for anything else. */
export function fromIsoDate(value: string | null | undefined): number | undefined {
  if (!value || !ISO_DATE.test(value)) return undefined;
  // A time without a zone would be read in the machine's own, and each machine of a fleet make another version of the same list.
  const isWithoutZone = /\d[T ]\d/.test(value) && !/(?:Z|[+-]\d{2}:?\d{2})$/i.test(value);
  const at = Date.parse(isWithoutZone ? `${value}Z` : value);
  return Number.isNaN(at) ? undefined : at;
}

/** The values in order, each once. */
export function sortedUnique(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}

/** Drops fields that are `undefined`, so that a listing made twice from the same body is the same text. */
export function compact<T extends object>(
  record: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as never;
}
