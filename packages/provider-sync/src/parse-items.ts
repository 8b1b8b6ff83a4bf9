import { z } from "zod";
import { finish, forEachInSlices, type Sliced } from "./in-slices.ts";
import type { RejectedItem } from "./source.ts";
import { SourceError } from "./source-error.ts";

/** Items of one list at most, ten times the longest real list: more would hold up the process while they are read. */
const MAX_ITEMS = 50_000;
/** Characters of an id that are kept of a rejected item: as many as an id may have, so that the model of that name is known not to be missed. */
const MAX_ID = 300;

/** Names a validation problem by field and kind, without the value: a body may hold anything. */
export function describeProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return "invalid";
  const path = issue.path.map(String).join(".").slice(0, 80);
  return path ? `${path}: ${issue.code}` : issue.code;
}

/** What `parseItems` could save. */
export interface ParsedItems<Item> {
  readonly items: Item[];
  /** All of them: the guards judge their share. Reports tell the first. */
  readonly rejected: RejectedItem[];
}

function parseItem<Schema extends z.ZodType, Item>(
  value: unknown,
  schema: Schema,
  map: (value: z.output<Schema>) => Item | undefined,
): { readonly item: Item | undefined } | { readonly problem: string } {
  try {
    const parsed = schema.safeParse(value);
    return parsed.success ? { item: map(parsed.data) } : { problem: describeProblem(parsed.error) };
  } catch (error) {
    // A limit is the whole list's; anything else is this item's alone, and its message may quote what it choked on.
    if (SourceError.is(error)) throw error;
    return { problem: "unreadable" };
  }
}

type Entries = Iterable<readonly [id: string, value: unknown]>;

/** `parseItems` in slices, for lists of thousands: to validate and map one of five thousand takes some hundred milliseconds. */
export function* parseItemsInSlices<Schema extends z.ZodType, Item>(
  entries: Entries,
  schema: Schema,
  map: (value: z.output<Schema>, id: string) => Item | undefined,
): Sliced<ParsedItems<Item>> {
  const items: Item[] = [];
  const rejected: RejectedItem[] = [];
  let seen = 0;
  yield* forEachInSlices(entries, ([id, value]) => {
    seen += 1;
    if (seen > MAX_ITEMS) throw new SourceError("too-large", `the list has more than ${MAX_ITEMS} items`);
    const told = parseItem(value, schema, (parsed) => map(parsed, id));
    if ("problem" in told) rejected.push({ id: id.slice(0, MAX_ID), problem: told.problem });
    else if (told.item !== undefined) items.push(told.item);
  });
  return { items, rejected };
}

/**
 * Validates a list item by item, so that one bad item never costs the others. `map` may give `undefined` for an item that is
 * well-formed and no model (documentation, a time stamp); an item on which it throws is rejected.
 * @throws {SourceError} too-large for a list of more than 50,000 items
 */
export function parseItems<Schema extends z.ZodType, Item>(
  entries: Entries,
  schema: Schema,
  map: (value: z.output<Schema>, id: string) => Item | undefined,
): ParsedItems<Item> {
  return finish(parseItemsInSlices(entries, schema, map));
}

/** The entries of an array under their own `id`, or their position where they have none. */
export function* entriesById(list: readonly unknown[], field = "id"): Generator<readonly [id: string, value: unknown]> {
  for (const [index, value] of list.entries()) {
    const id = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
    yield [typeof id === "string" ? id : `#${index}`, value];
  }
}

/** Whether a list's links lead to no further page of it, as OpenRouter's do. */
function isLastPage(links: unknown): boolean {
  return typeof links !== "object" || links === null || !(links as { readonly next?: unknown }).next;
}

/**
 * A list under `data`, all of it. A page of a longer one is none: it would be taken for the models that there are, and a change of the
 * page's length for their coming and going.
 */
export const wholeList: z.ZodObject<
  { data: z.ZodArray<z.ZodUnknown>; has_more: z.ZodOptional<z.ZodUnknown>; links: z.ZodOptional<z.ZodUnknown> },
  z.core.$loose
> = z.looseObject({
  data: z.array(z.unknown()),
  has_more: z
    .unknown()
    .refine((more) => more !== true)
    .optional(),
  links: z.unknown().refine(isLastPage).optional(),
});

/** Passes the outermost shape of a body. @throws {SourceError} bad-shape otherwise, naming the source and the field */
export function parseShape<Schema extends z.ZodType>(source: string, schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (!parsed.success)
    throw new SourceError("bad-shape", `${source}: the body is not the expected list (${describeProblem(parsed.error)})`);
  return parsed.data;
}
