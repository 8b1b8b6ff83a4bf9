import { z } from "zod";
import type { ProviderRecord } from "../model-listing.ts";
import { compact, looseFlag, looseText, looseTexts, sortedUnique, text } from "../normalize.ts";
import { entriesById, parseItems, parseShape, wholeList } from "../parse-items.ts";
import type { Source } from "../source.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/**
 * OpenRouter's `GET /api/v1/providers`: the companies that host models behind it. Ancillary: prices and models do not need it. The
 * list may come bare or under `data`, as the reference system met it; data policies appear in the website's own form of it only.
 */

const list = z.union([z.array(z.unknown()), wholeList.transform((body) => body.data)]);

const provider = z.looseObject({
  slug: z.string().min(1).max(100),
  name: looseText,
  privacy_policy_url: looseText,
  terms_of_service_url: looseText,
  status_page_url: looseText,
  headquarters: looseText,
  datacenters: looseTexts,
  dataPolicy: z.looseObject({ training: looseFlag }).nullish().catch(undefined),
});

function toProvider(raw: z.output<typeof provider>): ProviderRecord {
  return compact({
    id: raw.slug.toLowerCase(),
    name: text(raw.name) ?? raw.slug,
    privacyPolicyUrl: text(raw.privacy_policy_url),
    termsUrl: text(raw.terms_of_service_url),
    statusPageUrl: text(raw.status_page_url),
    headquarters: text(raw.headquarters),
    // `null` and [] both mean that nobody told. In one order: the same places told in another are no new version.
    datacenters: raw.datacenters?.length ? sortedUnique(raw.datacenters) : undefined,
    trainsOnData: raw.dataPolicy?.training ?? undefined,
  }) as ProviderRecord;
}

/** The hosts behind OpenRouter. */
export function openRouterProviders(options: UpstreamOptions = {}): Source {
  const url = addressOf(options, "https://openrouter.ai/api/v1/providers", UPSTREAM_OPTIONS);
  const { apiKey } = options;
  return {
    name: "openrouter-providers",
    role: "ancillary",
    read: async (context) => {
      const body = parseShape("openrouter-providers", list, await context.getJson(url, { headers: authorization(apiKey) }));
      const { items, rejected } = parseItems(entriesById(body, "slug"), provider, toProvider);
      return { providers: items, rejected };
    },
  };
}
