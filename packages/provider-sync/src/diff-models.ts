import type { CatalogModel } from "./merge-layers.ts";
import { flattenPrices } from "./prices.ts";

/** What happened to a model from one version to the next. */
export type ModelChangeKind = "added" | "removed" | "vanished" | "returned" | "price" | "changed";

/** One change of one model. */
export interface ModelChange {
  readonly id: string;
  readonly kind: ModelChangeKind;
  /** The price path or the field; absent for a model that came or went. */
  readonly field?: string;
  /** Before and after: prices as numbers, other fields as short JSON; absent = not there. */
  readonly before?: number | string;
  readonly after?: number | string;
}

const FIELDS = [
  "name",
  "kind",
  "contextTokens",
  "outputTokens",
  "inputModalities",
  "outputModalities",
  "supportedParameters",
  "retiresAt",
  "isDeprecated",
  "priceSource",
] as const;

/** Longest text of a field that a change keeps. */
const MAX_TEXT = 500;

function show(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function sides(before: number | string | undefined, after: number | string | undefined): Pick<ModelChange, "before" | "after"> {
  return { ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

function isSame(before: unknown, after: unknown): boolean {
  if (before === after) return true;
  if (!Array.isArray(before) || !Array.isArray(after) || before.length !== after.length) return false;
  return before.every((value, index) => value === after[index]);
}

function diffPrices(before: CatalogModel, after: CatalogModel): ModelChange[] {
  const old = flattenPrices(before);
  const young = flattenPrices(after);
  const changes: ModelChange[] = [];
  const compare = (field: string): void => {
    if (old.get(field) !== young.get(field))
      changes.push({ id: after.id, kind: "price", field, ...sides(old.get(field), young.get(field)) });
  };
  for (const field of old.keys()) compare(field);
  for (const field of young.keys()) if (!old.has(field)) compare(field);
  return changes;
}

function diffModel(before: CatalogModel, after: CatalogModel): ModelChange[] {
  const changes = diffPrices(before, after);
  for (const field of FIELDS) {
    if (!isSame(before[field], after[field]))
      changes.push({ id: after.id, kind: "changed", field, ...sides(show(before[field]), show(after[field])) });
  }
  if (before.status !== after.status) changes.unshift({ id: after.id, kind: after.status === "vanished" ? "vanished" : "returned" });
  return changes;
}

/** What differs between two catalogs, sorted by id: what the history keeps and the command line shows. O(models). */
export function diffModels(before: readonly CatalogModel[], after: readonly CatalogModel[]): ModelChange[] {
  const old = new Map(before.map((model) => [model.id, model]));
  const changes: ModelChange[] = [];
  for (const model of after) {
    const former = old.get(model.id);
    if (former) changes.push(...diffModel(former, model));
    else changes.push({ id: model.id, kind: "added" });
    old.delete(model.id);
  }
  for (const id of old.keys()) changes.push({ id, kind: "removed" });
  return changes.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
