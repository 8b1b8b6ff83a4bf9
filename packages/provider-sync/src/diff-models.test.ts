import { expect, it } from "vitest";
import { listing } from "../test/support/listings.ts";
import { diffModels } from "./diff-models.ts";
import { type CatalogModel, mergeModels } from "./merge-layers.ts";
import type { ModelListing } from "./model-listing.ts";

function catalogOf(fields: Partial<ModelListing>): CatalogModel[] {
  const model = { listing: listing("m", {}, fields), firstSeenAt: 0 };
  return mergeModels({ layers: [{ source: "s", models: [model], providers: [], endpoints: [] }], quarantine: [], acceptances: [] });
}

it.each<Partial<ModelListing>>([
  { name: "M" },
  { author: "maker" },
  { kind: "embedding" },
  { contextTokens: 1 },
  { outputTokens: 1 },
  { inputModalities: [] },
  { outputModalities: ["image"] },
  { supportedParameters: ["tools"] },
  { aliases: ["m-latest"] },
  { releasedAt: 1 },
  { retiresAt: 1 },
  { isDeprecated: true },
  { knowledgeCutoff: "2026-01" },
  { hasOpenWeights: true },
  { isModerated: false },
])("tells that %j is new of a model: a version without a change would be one that nobody can explain", (fields) => {
  const changes = diffModels(catalogOf({}), catalogOf(fields));
  expect(changes.map(({ kind, field }) => [kind, field])).toEqual([["changed", Object.keys(fields)[0]]]);
  expect(diffModels(catalogOf(fields), catalogOf(fields))).toEqual([]);
});
