import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Source } from "../source.ts";
import { litellmPrices } from "../sources/litellm-prices.ts";
import { modelsDev } from "../sources/models-dev.ts";
import { openAiCompatible } from "../sources/openai-compatible.ts";
import { openRouterEndpoints } from "../sources/openrouter-endpoints.ts";
import { openRouterModels } from "../sources/openrouter-models.ts";
import { openRouterProviders } from "../sources/openrouter-providers.ts";
import type { UpstreamOptions } from "../sources/upstream-options.ts";
import { vercelGateway } from "../sources/vercel-gateway.ts";

const factories: Readonly<Record<string, (options: UpstreamOptions) => Source>> = {
  openrouter: openRouterModels,
  "openrouter-providers": openRouterProviders,
  "openrouter-endpoints": openRouterEndpoints,
  vercel: vercelGateway,
  "models.dev": modelsDev,
  litellm: litellmPrices,
};

const defaults = ["openrouter", "openrouter-providers", "vercel", "models.dev", "litellm"];

/** What begins as another protocol's address does is no file, and is refused by the source. */
function toUrl(place: string): string {
  return /^(?:(?:https?|file):|[a-z][a-z0-9+.-]*:\/\/)/i.test(place) ? place : pathToFileURL(resolve(place)).href;
}

function keyOf(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  return environment[`LARDER_SYNC_KEY_${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`];
}

/** The sources that `--source` names, in order. @throws {Error} for a server without URL, and for an address that is empty */
export function openSources(names: readonly string[], environment: NodeJS.ProcessEnv): Source[] {
  return (names.length > 0 ? names : defaults).map((text) => {
    const [name = "", ...rest] = text.split("=");
    const place = rest.join("=");
    const apiKey = keyOf(name, environment);
    const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
    // An address that came out empty, as of a variable that is not set, is no wish for the public list.
    if (factory && text === name) return factory(apiKey ? { apiKey } : {});
    if (!place) {
      const [told, why] = [name.slice(0, 40), factory ? "has an empty address" : "is not a known source"];
      throw new Error(`--source ${told} ${why}: give its address, as in ${told}=https://host/v1`);
    }
    if (factory) return factory({ url: toUrl(place), ...(apiKey && { apiKey }) });
    return openAiCompatible({ provider: name, baseUrl: toUrl(place), role: "primary", ...(apiKey && { apiKey }) });
  });
}
