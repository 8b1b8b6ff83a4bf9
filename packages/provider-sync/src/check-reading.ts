import { z } from "zod";
import { forEachInSlices, type Sliced } from "./in-slices.ts";
import { listingId, type ModelEndpoint, type ModelListing, type ProviderRecord } from "./model-listing.ts";
import { describeProblem } from "./parse-items.ts";
import type { RejectedItem, SourceReading } from "./source.ts";
import { SourceError } from "./source-error.ts";

/**
 * What a source hands over is checked like what an upstream sends: a source of a user's own may have a mistake, and one record of another shape
 * would throw where all sources are guarded together, and end the run for every one of them. An item that is not of the record's shape goes
 * alone; a reading that is none is that source's failure.
 */

/** Any number: one that is negative or `NaN` is for the guards to hold back. */
const price = z.custom<number>((value) => typeof value === "number").optional();
const texts = z.array(z.string());
const count = z.int().positive().optional();
const instant = z.number().optional();
const flag = z.boolean().optional();
const text = z.string().optional();

const tokenPrices = z.strictObject({
  input: price,
  output: price,
  cacheRead: price,
  cacheWrite: price,
  cacheWriteLong: price,
  reasoning: price,
  inputAudio: price,
  outputAudio: price,
  inputImage: price,
  outputImage: price,
} satisfies Record<keyof ModelListing["usdPerMillion"], z.ZodType>);

const listing = {
  provider: z.string(),
  model: z.string(),
  name: z.string(),
  sourceId: text,
  author: text,
  kind: z.enum(["chat", "embedding", "image", "audio", "video", "rerank", "moderation", "other"]),
  usdPerMillion: tokenPrices,
  usdPerUnit: z.strictObject({ request: price, inputImage: price, outputImage: price, webSearch: price }).optional(),
  priceTiers: z.array(z.strictObject({ aboveTokens: z.int().positive(), usdPerMillion: tokenPrices })).optional(),
  contextTokens: count,
  outputTokens: count,
  inputModalities: texts,
  outputModalities: texts,
  supportedParameters: texts,
  aliases: texts.optional(),
  releasedAt: instant,
  retiresAt: instant,
  isDeprecated: flag,
  knowledgeCutoff: text,
  hasOpenWeights: flag,
  isModerated: flag,
} satisfies Record<keyof ModelListing, z.ZodType>;

const endpoint = {
  provider: z.string(),
  tag: z.string(),
  variant: text,
  contextTokens: count,
  outputTokens: count,
  usdPerMillion: tokenPrices,
  quantization: text,
} satisfies Record<keyof ModelEndpoint, z.ZodType>;

const provider = {
  id: z.string(),
  name: z.string(),
  apiUrl: text,
  docsUrl: text,
  privacyPolicyUrl: text,
  termsUrl: text,
  statusPageUrl: text,
  headquarters: text,
  datacenters: texts.optional(),
  environment: texts.optional(),
  trainsOnData: flag,
} satisfies Record<keyof ProviderRecord, z.ZodType>;

/** The shape of one kind of record, and how an item of it is named in a report. */
class RecordShape<Item extends object> {
  readonly #schema: z.ZodType;
  readonly #fields: ReadonlySet<string>;
  readonly #nameOf: (item: Item) => string;

  constructor(shape: Readonly<Record<keyof Item, z.ZodType>>, nameOf: (item: Item) => string) {
    this.#schema = z.looseObject(shape);
    this.#fields = new Set(Object.keys(shape));
    this.#nameOf = nameOf;
  }

  /** The items that are of this shape, as they are but for fields of no record; the others are told. */
  *keep(items: readonly unknown[], rejected: RejectedItem[]): Sliced<Item[]> {
    const kept: Item[] = [];
    let index = 0;
    yield* forEachInSlices(items, (item) => {
      const problem = this.#problemOf(item);
      if (problem === undefined) kept.push(this.#known(item as Item));
      else rejected.push({ id: this.#named(item, index), problem });
      index += 1;
    });
    return kept;
  }

  #problemOf(item: unknown): string | undefined {
    try {
      const parsed = this.#schema.safeParse(item);
      return parsed.success ? undefined : describeProblem(parsed.error);
    } catch {
      return "unreadable";
    }
  }

  /** A field of no record may be anything, also what no database can store. */
  #known(item: Item): Item {
    const entries = Object.entries(item);
    const known = entries.filter(([field]) => this.#fields.has(field));
    return known.length === entries.length ? item : (Object.fromEntries(known) as Item);
  }

  #named(item: unknown, index: number): string {
    try {
      return this.#nameOf(item as Item);
    } catch {
      return `#${index}`;
    }
  }
}

const listings = new RecordShape<ModelListing>(listing, (item) => listingId(item.provider, item.model));
const providers = new RecordShape<ProviderRecord>(provider, (item) => String(item.id));
const endpoints = new RecordShape<ModelEndpoint>(endpoint, (item) => `${item.provider}/${item.tag}`);

function badShape(problem: string): SourceError {
  return new SourceError("bad-shape", `what the source read is no reading: ${problem}`);
}

function listOf(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw badShape(`${name} must be an array`);
  return value;
}

function isRejectedItem(item: unknown): item is RejectedItem {
  const { id, problem } = (item ?? {}) as Partial<RejectedItem>;
  return typeof id === "string" && typeof problem === "string";
}

function* keepEndpoints(value: unknown, rejected: RejectedItem[]): Sliced<Map<string, ModelEndpoint[]>> {
  if (!(value instanceof Map)) throw badShape("endpoints must be a Map of listing ids and lists");
  const kept = new Map<string, ModelEndpoint[]>();
  for (const [id, items] of value as ReadonlyMap<unknown, unknown>) {
    if (typeof id === "string" && Array.isArray(items)) kept.set(id, yield* endpoints.keep(items, rejected));
    else rejected.push({ id: String(id), problem: "endpoints: no list" });
  }
  return kept;
}

/** A reading of which every record has its shape; in slices, since a list of thousands takes some tens of milliseconds. @throws {SourceError} bad-shape when it is no reading at all */
export function* checkReadingInSlices(value: unknown): Sliced<SourceReading> {
  if (typeof value !== "object" || value === null) throw badShape("it must be an object");
  const told = value as { readonly [field in keyof SourceReading]?: unknown };
  const rejected = listOf("rejected", told.rejected ?? []).map((item, index) =>
    isRejectedItem(item) ? item : { id: `#${index}`, problem: "unreadable" },
  );
  return {
    ...(told.models !== undefined && { models: yield* listings.keep(listOf("models", told.models), rejected) }),
    ...(told.providers !== undefined && { providers: yield* providers.keep(listOf("providers", told.providers), rejected) }),
    ...(told.endpoints !== undefined && { endpoints: yield* keepEndpoints(told.endpoints, rejected) }),
    rejected,
  };
}
