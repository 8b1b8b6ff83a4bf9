import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  litellmPrices,
  modelsDev,
  openAiCompatible,
  openRouterEndpoints,
  openRouterModels,
  openRouterProviders,
  type Source,
  type UpstreamOptions,
  vercelGateway,
} from "@larder/provider-sync";
import { SettingsError } from "../config/read-settings.ts";

const FACTORIES: ReadonlyMap<string, (options: UpstreamOptions) => Source> = new Map([
  ["openrouter", openRouterModels],
  ["openrouter-providers", openRouterProviders],
  ["openrouter-endpoints", openRouterEndpoints],
  ["vercel", vercelGateway],
  ["models.dev", modelsDev],
  ["litellm", litellmPrices],
]);
/** All sources, but for one request per model. */
const DEFAULTS: readonly string[] = ["openrouter", "openrouter-providers", "vercel", "models.dev", "litellm"];

/**
 * The sources of `LARDER_SYNC_SOURCES`: names, each with an address of its own where wanted (`openrouter=https://host/models`); an unknown
 * name with an address is an OpenAI-compatible list. @throws {SettingsError} for an unknown name without address, an empty
 * address, and a name given twice
 */
export function openSources(names: readonly string[] = DEFAULTS): Source[] {
  const sources = names.map((text) => {
    const at = text.indexOf("=");
    const name = at < 0 ? text : text.slice(0, at);
    const place = at < 0 ? "" : text.slice(at + 1);
    const url = place === "" || /^(https?|file):/.test(place) ? place : pathToFileURL(resolve(place)).href;
    const factory = FACTORIES.get(name);
    // An address that came out empty, as of a variable that is not set, is no wish for the public list.
    if (factory && place === "" && at >= 0)
      throw new SettingsError([`LARDER_SYNC_SOURCES has an empty address: give one, as in ${name}=https://host/path, or the name alone`]);
    if (url !== "" && !URL.canParse(url))
      throw new SettingsError([`LARDER_SYNC_SOURCES has an address that cannot be read: give one as in ${name}=https://host/path`]);
    if (factory) return factory(url === "" ? {} : { url });
    if (url === "") throw new SettingsError([`LARDER_SYNC_SOURCES names an unknown source; known are ${[...FACTORIES.keys()].join(", ")}`]);
    return openAiCompatible({ provider: name, baseUrl: url, role: "primary" });
  });
  const twice = sources.find(({ name }, index) => sources.findIndex((source) => source.name === name) !== index);
  if (twice) throw new SettingsError([`LARDER_SYNC_SOURCES names the source ${twice.name} twice`]);
  return sources;
}
