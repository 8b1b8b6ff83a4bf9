import type { IncomingMessage, ServerResponse } from "node:http";
import type { AdminParts } from "./admin/admin-parts.ts";
import { settingsJsonSchema } from "./config/read-settings.ts";
import { findAsset } from "./dashboard/assets.ts";
import { HttpError } from "./http/http-error.ts";
import { NodeExchange } from "./http/node-exchange.ts";
import { authModeOf, checkLocal, isLoopback, tokenOf } from "./security/authenticator.ts";
import { equalSecrets } from "./security/digest.ts";
import { type NodeListener, refuse } from "./server.ts";
import { joinExpositions } from "./telemetry/join-expositions.ts";
import type { Metrics } from "./telemetry/metrics.ts";

/** What stands beside the API. */
export interface FrontRouterOptions {
  readonly admin: AdminParts;
  readonly metrics: Metrics;
  readonly adminListener: NodeListener;
}

/** Largest administrative body, imports of entries apart. */
const MAX_ADMIN_BODY = 2 * 1024 * 1024;
/** What clients ask for whose base URL lacks its end, or is meant for Azure's service. */
const MEANT_FOR_THE_API =
  /^\/+(v1|openai|chat|completions|embeddings|responses|messages|images|models|audio|files|batches|moderations)(\/|$)/;
const BELOW_V1 = "There is no such path: the API is below /v1, where a client's base URL must end (Anthropic's client adds /v1 by itself).";
/** Scripts and styles come from the page's own origin, everything else from nowhere. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Routes what is not the API's: health, metrics, dashboard, administration. */
export function createFrontRouter(options: FrontRouterOptions): NodeListener {
  return (request, response) => {
    route(options, request, response).catch(() => refuse(request, response, 500, "The request failed."));
  };
}

async function route(options: FrontRouterOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] as string;
  if (path === "/admin" || path.startsWith("/admin/")) return routeAdmin(options, path, request, response);
  if (MEANT_FOR_THE_API.test(path)) return refuse(request, response, 404, BELOW_V1);
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(request, response, 404, "There is no such path.");
  if (path === "/healthz") return sendJson(response, 200, { status: "ok" });
  if (path === "/readyz") return sendReadiness(options, response);
  if (path === "/metrics") return sendMetrics(options, request, response);
  if (path === "/larder.config.schema.json") return sendJson(response, 200, settingsJsonSchema());
  const asset = await findAsset(path);
  if (!asset) return refuse(request, response, 404, "There is no such path.");
  response.writeHead(200, {
    "content-type": asset.type,
    "content-length": asset.bytes.length,
    "cache-control": "no-cache",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  response.end(request.method === "HEAD" ? undefined : asset.bytes);
}

/** Loopback without keys is open to programs on this machine; a page in a browser is kept out of the administration there, too. */
function routeAdmin({ admin, adminListener }: FrontRouterOptions, path: string, request: IncomingMessage, response: ServerResponse): void {
  const { settings } = admin.parts;
  if (authModeOf(settings) === "none" && isLoopback(settings.host) && !isLocal(admin, request, response)) return;
  if (path !== "/admin/cache/import") {
    if (request.headers["transfer-encoding"] !== undefined) {
      refuse(request, response, 411, "The body's length must be told.");
      return;
    }
    if (Number(request.headers["content-length"] ?? 0) > MAX_ADMIN_BODY) {
      refuse(request, response, 413, "The body is too large.");
      return;
    }
  }
  adminListener(request, response);
}

/** Whether a request may use what is open to this machine alone; refused otherwise. */
function isLocal({ parts }: AdminParts, request: IncomingMessage, response: ServerResponse): boolean {
  try {
    checkLocal(new NodeExchange(request, response), parts.trust);
    return true;
  } catch (error) {
    refuse(request, response, 403, error instanceof HttpError ? error.message : "Refused.");
    return false;
  }
}

function sendReadiness({ admin }: FrontRouterOptions, response: ServerResponse): void {
  const { isReady } = admin.health;
  const report = admin.health.report();
  sendJson(response, isReady ? 200 : 503, { status: isReady ? "ready" : report.isDraining ? "draining" : "starting", ...report });
}

async function sendMetrics({ admin, metrics }: FrontRouterOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { settings } = admin.parts;
  const isOpen = settings.metricsToken === undefined && isLoopback(settings.host);
  if (isOpen && !isLocal(admin, request, response)) return;
  const token = tokenOf(new NodeExchange(request, response)) ?? "";
  if (!isOpen && !equalSecrets(token, settings.metricsToken ?? admin.adminToken))
    return refuse(request, response, 401, "The metrics token is missing or wrong: send it as `Authorization: Bearer <token>`.");
  const texts = (await admin.survey.ask("metrics")).filter((text) => typeof text === "string");
  const text = texts.length === 1 ? (texts[0] as string) : joinExpositions(texts);
  response.writeHead(200, { "content-type": metrics.contentType, "content-length": Buffer.byteLength(text) });
  response.end(text);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}
