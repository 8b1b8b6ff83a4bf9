import { expect, it } from "vitest";
import { listing } from "../test/support/listings.ts";
import { comparePrices, compareSources } from "./compare-prices.ts";
import type { ListedModel, SnapshotContent } from "./snapshot.ts";

/** What each source tells of each model: its input price, the output price being twice that; `gone` after it: no longer listed. */
function contentOf(sources: Readonly<Record<string, Readonly<Record<string, number | readonly [number, "gone"]>>>>): SnapshotContent {
  const layers = Object.entries(sources).map(([source, told]) => {
    const models = Object.entries(told).map(([model, price]): ListedModel => {
      const input = typeof price === "number" ? price : price[0];
      const gone = typeof price === "number" ? {} : { vanishedAt: 5 };
      return { listing: listing(model, { input, output: input * 2 }), firstSeenAt: 1, ...gone };
    });
    return { source, models, providers: [], endpoints: [] };
  });
  return { layers, quarantine: [], acceptances: [] };
}

it("finds the prices on which sources disagree, the greatest factor first, and who stands alone", () => {
  const found = comparePrices(
    contentOf({
      first: { same: 1, near: 100, two: 1, three: 1, split: 1, only: 7, past: 1, free: 0 },
      second: { same: 1, near: 101, two: 3, three: 1, split: 2, past: [50, "gone"], free: 1 },
      third: { three: 4, split: 3 },
    }),
  );
  const told = found.map(({ id, path, factor, outlier }) => [`${id} ${path}`, factor, outlier]);
  expect(told).toEqual([
    ...[
      ["acme/free input", Number.POSITIVE_INFINITY, undefined],
      ["acme/free output", Number.POSITIVE_INFINITY, undefined],
    ],
    ...["acme/three input", "acme/three output"].map((place) => [place, 4, "third"]),
    ...["acme/split input", "acme/split output", "acme/two input", "acme/two output"].map((place) => [place, 3, undefined]),
  ]);
  expect(found.find(({ id, path }) => id === "acme/two" && path === "input")?.prices).toEqual([
    { source: "first", price: 1 },
    { source: "second", price: 3 },
  ]);
});

it("tells of each two sources how many models both price, and on how many they agree", () => {
  const content = contentOf({ first: { a: 1, b: 1, c: 1 }, second: { a: 1.01, b: 2, d: 1 }, third: { c: 1, d: 1 } });
  const blind = { listing: listing("a", { input: 1 }), firstSeenAt: 1 };
  const layers = [...content.layers, { source: "without-output", models: [blind], providers: [], endpoints: [] }];
  expect(compareSources({ ...content, layers })).toEqual([
    { sources: ["first", "second"], models: 2, agreeing: 1 },
    { sources: ["first", "third"], models: 1, agreeing: 1 },
    { sources: ["second", "third"], models: 1, agreeing: 1 },
  ]);
});
