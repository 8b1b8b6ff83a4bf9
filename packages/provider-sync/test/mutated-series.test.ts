import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  defaultGuardPolicy,
  flattenPrices,
  guardLayer,
  listingId,
  type ModelListing,
  type QuarantineEntry,
  type SourceLayer,
  type SourceReading,
} from "../src/index.ts";
import { listing } from "./support/listings.ts";

// Harsher than any history: every list of a run may be cut, emptied, doubled, flooded, scaled by a unit error or a currency, sprinkled with
// garbage, or lose a provider or its prices. Whatever comes, what is served stays within the promises.

const HOUR_MS = 3_600_000;
const SIZE = 150;

type Mutation =
  | { readonly kind: "none" | "empty" | "shuffle" | "double" | "lose-provider" | "flood" | "lose-prices" }
  | { readonly kind: "cut"; readonly share: number }
  | { readonly kind: "scale-all"; readonly factor: number }
  | { readonly kind: "scale-some"; readonly factor: number; readonly every: number }
  | { readonly kind: "garbage"; readonly price: number; readonly every: number }
  | { readonly kind: "reject"; readonly every: number };

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constantFrom("none", "none", "none", "empty", "shuffle", "double", "lose-provider", "flood", "lose-prices") }),
  fc.record({ kind: fc.constant("cut" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("scale-all" as const), factor: fc.constantFrom(1e-6, 1e-3, 0.1, 0.5, 1.5, 10, 1e3, 1e6) }),
  fc.record({
    kind: fc.constant("scale-some" as const),
    factor: fc.constantFrom(0, 1e-3, 0.3, 3, 11, 1e3, 1e6),
    every: fc.integer({ min: 1, max: 40 }),
  }),
  fc.record({
    kind: fc.constant("garbage" as const),
    price: fc.constantFrom(Number.NaN, -1, Number.POSITIVE_INFINITY, 1e12),
    every: fc.integer({ min: 1, max: 40 }),
  }),
  fc.record({ kind: fc.constant("reject" as const), every: fc.integer({ min: 1, max: 40 }) }),
);

const truth: readonly ModelListing[] = Array.from({ length: SIZE }, (_, index) =>
  listing(`m-${index}`, { input: 0.5 + (index % 7), output: 2 + (index % 11) }, { provider: `p-${index % 6}` }),
);

function scaled(model: ModelListing, factor: number): ModelListing {
  const { input = 0, output = 0 } = model.usdPerMillion;
  return { ...model, usdPerMillion: { input: input * factor, output: output * factor } };
}

function mutate(change: Mutation): SourceReading {
  const some = (every: number, map: (model: ModelListing) => ModelListing): ModelListing[] =>
    truth.map((model, index) => (index % every === 0 ? map(model) : model));
  switch (change.kind) {
    case "empty":
      return { models: [], rejected: [] };
    case "shuffle":
      return { models: [...truth].reverse(), rejected: [] };
    case "double":
      return { models: [...truth, ...truth.map((model) => scaled(model, 2))], rejected: [] };
    case "lose-provider":
      return { models: truth.filter((model) => model.provider !== "p-3"), rejected: [] };
    case "flood":
      return { models: [...truth, ...Array.from({ length: 3 * SIZE }, (_, index) => listing(`flood-${index}`))], rejected: [] };
    case "lose-prices":
      return { models: truth.map((model) => ({ ...model, usdPerMillion: {} })), rejected: [] };
    case "cut":
      return { models: truth.slice(0, Math.floor(SIZE * change.share)), rejected: [] };
    case "scale-all":
      return { models: truth.map((model) => scaled(model, change.factor)), rejected: [] };
    case "scale-some":
      return { models: some(change.every, (model) => scaled(model, change.factor)), rejected: [] };
    case "garbage":
      return { models: some(change.every, (model) => ({ ...model, usdPerMillion: { input: change.price, output: 1 } })), rejected: [] };
    case "reject":
      return {
        models: truth.filter((_, index) => index % change.every !== 0),
        rejected: truth.flatMap((model, index) =>
          index % change.every === 0 ? [{ id: listingId(model.provider, model.model), problem: "invalid" }] : [],
        ),
      };
    default:
      return { models: truth, rejected: [] };
  }
}

describe("the guards over mutated series", () => {
  it("never serve an absurd price, an empty or shrunk catalog, or a price that jumped within the time to confirm it", () => {
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 24 }), (mutations) => {
        let believed: SourceLayer | undefined;
        let missedRuns: ReadonlyMap<string, number> = new Map();
        let quarantine: readonly QuarantineEntry[] = [];
        let doubted: ReadonlyMap<string, readonly string[]> = new Map();
        // The first list is good; an hour passes between runs, so nothing is believed for having lasted.
        for (const [run, change] of [{ kind: "none" } as Mutation, ...mutations].entries()) {
          const reading = mutate(change);
          const now = 1_700_000_000_000 + run * HOUR_MS;
          const verdict = guardLayer({
            source: "s",
            reading,
            believed,
            missedRuns,
            quarantine,
            doubted,
            acceptances: [],
            policy: defaultGuardPolicy,
            now,
            otherPrices: () => [],
          });
          const before = new Map(
            believed?.models.map((model) => [listingId(model.listing.provider, model.listing.model), flattenPrices(model.listing)]),
          );
          expect(verdict.layer.models).toHaveLength(SIZE);
          expect(new Set(verdict.layer.models.map((model) => listingId(model.listing.provider, model.listing.model))).size).toBe(SIZE);
          for (const { listing: served } of verdict.layer.models) {
            for (const [path, price] of flattenPrices(served)) {
              expect(price > 0 && price < 1000).toBe(true);
              const former = before.get(listingId(served.provider, served.model))?.get(path) ?? price;
              expect(Math.max(price / former, former / price)).toBeLessThan(5);
            }
          }
          for (const entry of verdict.quarantine) expect(Number.isNaN(entry.offered)).toBe(false);
          ({ layer: believed, missedRuns, quarantine, doubted } = verdict);
        }
      }),
      { numRuns: 25 },
    );
  });

  it("come back to the truth as soon as it is told again, with nothing held back", () => {
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), (mutations) => {
        let believed: SourceLayer | undefined;
        let quarantine: readonly QuarantineEntry[] = [];
        let doubted: ReadonlyMap<string, readonly string[]> = new Map();
        let missedRuns: ReadonlyMap<string, number> = new Map();
        // Moves of less than five times are believed, so the truth may then be a jump away: those mutations are left out here.
        const gentle = mutations.filter((change) => change.kind !== "scale-some" && change.kind !== "double" && change.kind !== "garbage");
        for (const [run, change] of [{ kind: "none" } as Mutation, ...gentle, { kind: "none" } as Mutation].entries()) {
          const now = 1_700_000_000_000 + run * HOUR_MS;
          ({
            layer: believed,
            quarantine,
            missedRuns,
            doubted,
          } = guardLayer({
            source: "s",
            reading: mutate(change),
            believed,
            missedRuns,
            quarantine,
            doubted,
            acceptances: [],
            policy: defaultGuardPolicy,
            now,
            otherPrices: () => [],
          }));
        }
        expect(quarantine).toEqual([]);
        expect(missedRuns.size).toBe(0);
        const served = new Map(believed?.models.map((model) => [model.listing.model, model]));
        for (const model of truth) expect(served.get(model.model)).toMatchObject({ listing: { usdPerMillion: model.usdPerMillion } });
        expect([...served.values()].some((model) => model.vanishedAt !== undefined)).toBe(false);
      }),
      { numRuns: 20 },
    );
  });
});
