import { CacheError, checkFunction, checkOptions, describeValue, type OptionNames } from "@larder/cache-core";
import type { z } from "zod";
import { ApiRouter } from "./api-router.ts";
import { createSettings } from "./config/read-settings.ts";
import type { settingsSchema } from "./config/schema.ts";
import { createGatewayCore } from "./gateway-core.ts";
import { FetchExchange } from "./http/fetch-exchange.ts";
import type { Identity } from "./security/authenticator.ts";
import { createLog } from "./telemetry/log.ts";
import { operatorProviders } from "./upstream/operator-providers.ts";
import { PooledUpstream } from "./upstream/pooled-upstream.ts";
import { ProviderTable } from "./upstream/provider-table.ts";

/** How a gateway inside another application is made. */
export interface GatewayHandlerOptions {
  /** Settings as in `larder.config.json`: upstreams, routes, cache. Those of a server (address, limits of client addresses, keys, database, Redis) are not used. @default none: the sandbox provider answers */
  readonly settings?: z.input<typeof settingsSchema>;
  /** Whose entries a request uses; `undefined` refuses it with 401. @default one tenant for all: who may call is the application's affair */
  readonly tenantOf?: (request: Request) => string | undefined | Promise<string | undefined>;
  /** What stands before `/v1/` in the paths of the application, such as `/api/llm`; a slash at its end counts for nothing. @default "" */
  readonly basePath?: string;
}

/** With one that there is not, `tenant` say, all callers would share their answers. */
const OPTIONS: OptionNames<GatewayHandlerOptions> = { settings: true, tenantOf: true, basePath: true };

/** Answers requests as the gateway's `/v1/*` does. A Fetch-API handler: mounts in Hono, Express (through an adapter) and Next. */
export interface GatewayHandler {
  (request: Request): Promise<Response>;
  /** Lets go of connections and entries. Calling it again is fine. */
  close(): Promise<void>;
}

/**
 * The gateway without a server: routing, cache and endpoints behind one function.
 * @throws {SettingsError} naming settings that are not usable
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for an option of another name, a `tenantOf` that is no function, or a `basePath` that is no path
 */
export function createGatewayHandler(options: GatewayHandlerOptions = {}): GatewayHandler {
  checkOptions(options, OPTIONS);
  const { tenantOf } = options;
  const basePath = readBasePath(options.basePath);
  if (tenantOf !== undefined) checkFunction("tenantOf", tenantOf);
  // A mounted handler sees no connection: all callers would share the count of the one address that nobody knows.
  const settings = { ...createSettings(options.settings), addressLimits: {} };
  const upstream = new PooledUpstream({ connections: settings.upstreamConnections });
  const { providers, fallback, anthropic } = operatorProviders(settings, upstream);
  const table = new ProviderTable(settings, providers, fallback, anthropic);
  const tenants = new WeakMap<object, string>();
  const identify = (exchange: object): Identity => ({
    tenant: tenants.get(exchange) ?? "default",
    keyId: undefined,
    limits: {},
    upstreamKey: undefined,
  });
  const core = createGatewayCore({
    settings,
    hasTenants: options.tenantOf !== undefined,
    log: createLog(settings.logLevel),
    authenticator: { identify },
    directory: { table: () => table },
  });
  const handler = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const path = pathname.startsWith(basePath) ? pathname.slice(basePath.length) : pathname;
    if (!ApiRouter.owns(path)) return refusal(404, "not_found_error", "There is no such path.");
    // It may want to read the body, which is read once.
    const tenant = tenantOf ? await tenantOf(request.clone()) : "default";
    if (!tenant) return refusal(401, "authentication_error", "The request was not authorised.");
    const exchange = new FetchExchange(request, path);
    tenants.set(exchange, tenant);
    void core.api.handle(exchange);
    return exchange.response;
  };
  const close = async (): Promise<void> => {
    await core.close();
    await upstream.close();
  };
  return Object.assign(handler, { close });
}

function refusal(status: number, type: string, message: string): Response {
  return Response.json({ error: { message, type, param: null, code: null } }, { status });
}

/** The path as URLs have it: escaped, and without the slash that stands before `v1` already. */
function readBasePath(basePath: unknown = ""): string {
  const isPath = typeof basePath === "string" && /^(?:|\/|\/[^/?#][^?#]*)$/.test(basePath);
  if (isPath) return new URL(basePath, "http://localhost").pathname.replace(/\/+$/, "");
  const expected = 'a path with a slash before it, such as "/api/llm"';
  throw new CacheError("ERR_CACHE_INVALID_OPTION", `basePath must be ${expected}, got ${describeValue(basePath)}`);
}
