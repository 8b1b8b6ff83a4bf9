import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CacheError } from "@larder/cache-core";
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
import { secret } from "../config/schema.ts";

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

/** What is named in `LARDER_SYNC_SOURCES`, and how it is asked. */
interface NamedSource {
  readonly name: string;
  readonly url?: string;
  readonly apiKey?: string;
}

/** The variable that holds a source's key, as `larder-sync` has it. */
const keyVariableOf = (name: string): string => `LARDER_SYNC_KEY_${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;

/**
 * The sources of `LARDER_SYNC_SOURCES`: names, each with an address of its own where wanted (`openrouter=https://host/models`); an unknown
 * name with an address is an OpenAI-compatible list. A source's key stands in a variable of its own.
 * @throws {SettingsError} for an unknown name without address, an address that is none, a key that cannot be sent, and a name given twice
 */
export function openSources(names: readonly string[] = DEFAULTS, environment: NodeJS.ProcessEnv = process.env): Source[] {
  const sources = names.map((text) => open(readName(text, environment)));
  const twice = sources.find(({ name }, index) => sources.findIndex((source) => source.name === name) !== index);
  if (twice) throw new SettingsError([`LARDER_SYNC_SOURCES names the source ${twice.name} twice`]);
  return sources;
}

function readName(text: string, environment: NodeJS.ProcessEnv): NamedSource {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  const apiKey = readKey(keyVariableOf(name), environment);
  if (at < 0) return { name, ...apiKey };
  const place = text.slice(at + 1);
  // An address that came out empty, as of a variable that is not set, is no wish for the public list.
  if (place === "" && FACTORIES.has(name))
    throw new SettingsError([`LARDER_SYNC_SOURCES has an empty address: give one, as in ${name}=https://host/path, or the name alone`]);
  // What begins as another protocol's address does is no file.
  const url = place === "" || /^(?:(?:https?|file):|[a-z][a-z0-9+.-]*:\/\/)/i.test(place) ? place : pathToFileURL(resolve(place)).href;
  return { name, ...(url !== "" && { url }), ...apiKey };
}

function readKey(variable: string, environment: NodeJS.ProcessEnv): { readonly apiKey?: string } {
  const text = environment[variable];
  if (text === undefined) return {};
  const parsed = secret.safeParse(text.trim());
  if (!parsed.success)
    throw new SettingsError([
      `${variable} must hold a source's key: one line of visible ASCII characters without spaces or quotes around it`,
    ]);
  return { apiKey: parsed.data };
}

function open({ name, url, ...key }: NamedSource): Source {
  const factory = FACTORIES.get(name);
  if (name === "none")
    throw new SettingsError(["LARDER_SYNC_SOURCES has none, which switches sync off, beside sources: give one or the other"]);
  if (!factory && url === undefined)
    throw new SettingsError([`LARDER_SYNC_SOURCES names an unknown source; known are ${[...FACTORIES.keys()].join(", ")}`]);
  if (url !== undefined && !URL.canParse(url))
    throw new SettingsError([
      `LARDER_SYNC_SOURCES has an address that cannot be read: give one as in ${factory ? name : "name"}=https://host/path`,
    ]);
  try {
    if (factory) return factory({ ...(url !== undefined && { url }), ...key });
    return openAiCompatible({ provider: name, baseUrl: url as string, role: "primary", ...key });
  } catch (error) {
    if (!CacheError.is(error)) throw error;
    // It tells what is wrong and quotes neither name nor address, which may hold a key.
    throw new SettingsError([`LARDER_SYNC_SOURCES has a source that cannot be asked: ${error.message.replace(/^\[\w+] /, "")}`]);
  }
}
