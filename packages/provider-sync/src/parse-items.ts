import type { z } from "zod";
import type { RejectedItem } from "./source.ts";
import { SourceError } from "./source-error.ts";

/** Rejected items told one by one; beyond, the last one says how many more. */
const MAX_REJECTED = 200;

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
  readonly rejected: RejectedItem[];
}

/**
 * Validates a list item by item, so that one bad item never costs the others. `map` may give `undefined` for an item that is
 * well-formed and no model (documentation, a time stamp).
 */
export function parseItems<Schema extends z.ZodType, Item>(
  entries: Iterable<readonly [id: string, value: unknown]>,
  schema: Schema,
  map: (value: z.output<Schema>, id: string) => Item | undefined,
): ParsedItems<Item> {
  const items: Item[] = [];
  const rejected: RejectedItem[] = [];
  let untold = 0;
  for (const [id, value] of entries) {
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      if (rejected.length < MAX_REJECTED) rejected.push({ id: id.slice(0, 200), problem: describeProblem(parsed.error) });
      else untold += 1;
      continue;
    }
    const item = map(parsed.data, id);
    if (item !== undefined) items.push(item);
  }
  if (untold > 0) rejected.push({ id: "…", problem: `${untold} more` });
  return { items, rejected };
}

/** The entries of an array under their own `id`, or their position where they have none. */
export function* entriesById(list: readonly unknown[], field = "id"): Generator<readonly [id: string, value: unknown]> {
  for (const [index, value] of list.entries()) {
    const id = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
    yield [typeof id === "string" ? id : `#${index}`, value];
  }
}

/** Passes the outermost shape of a body. @throws {SourceError} bad-shape otherwise, naming the source and the field */
export function parseShape<Schema extends z.ZodType>(source: string, schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (!parsed.success)
    throw new SourceError("bad-shape", `${source}: the body is not the expected list (${describeProblem(parsed.error)})`);
  return parsed.data;
}
