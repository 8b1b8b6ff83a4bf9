import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { createAdminApp } from "./admin/admin-app.ts";
import type { AdminParts } from "./admin/admin-parts.ts";
import { takeStats } from "./admin/stats.ts";
import type { Settings } from "./config/schema.ts";
import { createFrontRouter } from "./front-router.ts";
import { createGatewayCore, type GatewayCore, type GatewayCoreOptions } from "./gateway-core.ts";
import { GatewayHealth } from "./gateway-health.ts";
import { AllowedOrigins } from "./http/allowed-origins.ts";
import { openSharedTier } from "./open-shared-tier.ts";
import { AddressGuard } from "./security/address-guard.ts";
import { Authenticator, authModeOf } from "./security/authenticator.ts";
import { obtainSecrets, type Secrets } from "./security/obtain-secrets.ts";
import type { SharedCounter } from "./security/rate-limiter.ts";
import { Sealer } from "./security/sealer.ts";
import { warnOfOpenDoor } from "./security/warn-of-open-door.ts";
import { GatewayServer } from "./server.ts";
import type { SharedTier } from "./shared-tier.ts";
import { GatewayStore } from "./storage/gateway-store.ts";
import { type RunningSync, startSync } from "./sync/start-sync.ts";
import { Teardown } from "./teardown.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { startTelemetry } from "./telemetry/start-telemetry.ts";
import { readTelemetrySettings } from "./telemetry/telemetry-settings.ts";
import { PooledUpstream } from "./upstream/pooled-upstream.ts";
import { ProviderDirectory } from "./upstream/provider-directory.ts";
import { warnOfMixedVectors, warnOfUncalledProviders, warnOfUnknownTargets } from "./upstream/warn-of-dead-settings.ts";
import { warnOfSandbox } from "./upstream/warn-of-sandbox.ts";
import { watchCoherence } from "./watch-coherence.ts";
import { SoloSurvey, type Survey } from "./worker-survey.ts";

/** A gateway that listens. */
export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  /** The file that holds the generated admin token; `undefined` when the token was configured. */
  readonly adminTokenFile: string | undefined;
  /** The generated token, when this start made it: to be shown once, on a terminal only. */
  readonly newAdminToken: string | undefined;
  /**
   * Stops as on SIGTERM: says on `/readyz` that it is not ready and goes on serving for `drainGrace`, so that load balancers notice, then closes.
   */
  drain(): Promise<void>;
  /** Stops: no new work, answers in flight end, pending invalidations are sent. Calling it again is fine. */
  close(): Promise<void>;
}

/** What a start may be given instead of the usual. */
export interface StartOptions {
  /** What relative paths are relative to. @default the working directory */
  readonly directory?: string;
  /** @default JSON lines on stderr, from the level of the settings on */
  readonly log?: Log;
  /** What the processes share, when it has been opened already: workers of one machine. Closed with the gateway. @default opened as the settings say */
  readonly shared?: SharedTier;
  /** The other processes of this gateway. @default none */
  readonly survey?: Survey;
  /** Counts for the other processes of this machine what is limited. @default none */
  readonly counter?: SharedCounter;
  /** Which of several workers this is. @default none: the process is by itself */
  readonly worker?: string;
}

/**
 * Composes a gateway from its settings and starts it. A start that fails lets go of all that it has opened: it can be tried again, and a program can end.
 * @throws {SettingsError} for settings that are not usable @throws when files cannot be written, or the address cannot be listened on
 */
export async function startGateway(settings: Settings, options: StartOptions = {}): Promise<RunningGateway> {
  const teardown = new Teardown();
  try {
    return await compose(settings, options, teardown);
  } catch (error) {
    await teardown.close();
    throw error;
  }
}

/** From the ground up; the server is the last to come and the first to go. */
async function compose(settings: Settings, options: StartOptions, teardown: Teardown): Promise<RunningGateway> {
  const ground = await openGround(settings, options, teardown);
  teardown.nextFloor();
  const services = await openServices(ground, teardown);
  teardown.nextFloor();
  const { server, health } = await openFront(ground, services, options, teardown);
  warnOfOpenDoor(settings, ground.log);
  warnOfUncalledProviders(settings, ground.log);
  warnOfMixedVectors(settings, ground.log);
  await ground.store.check();
  const port = await server.listen(settings.port, settings.host);
  teardown.nextFloor();
  teardown.add({ close: () => server.close(settings.drain) });
  // Read now rather than at the first request, so that what an older master key has sealed is sealed anew without waiting for one.
  void Promise.resolve(services.providers.table()).then(
    (table) => {
      warnOfUnknownTargets(settings, table.providers, ground.log);
      warnOfSandbox(table, ground.log);
    },
    () => undefined,
  );
  const close = (): Promise<void> => {
    health.isDraining = true;
    return teardown.close();
  };
  const drain = async (): Promise<void> => {
    health.isDraining = true;
    server.prepareToClose();
    await sleep(settings.drainGrace);
    await close();
  };
  const { adminTokenFile, newAdminToken } = ground.secrets;
  return { url: urlOf(settings.host, port), port, adminTokenFile, newAdminToken, drain, close };
}

/** What a gateway stands on. */
interface Ground {
  readonly settings: Settings;
  readonly directory: string;
  readonly log: Log;
  readonly secrets: Secrets;
  readonly shared: SharedTier;
  /** Who counts for several processes, those nearby first. */
  readonly counters: readonly SharedCounter[];
  readonly store: GatewayStore;
  readonly guard: AddressGuard;
  readonly sealer: Sealer;
}

async function openGround(settings: Settings, options: StartOptions, teardown: Teardown): Promise<Ground> {
  const { directory = process.cwd(), log = createLog(settings.logLevel), shared: given } = options;
  if (given) teardown.add(given);
  const secrets = obtainSecrets(settings, directory);
  // A master key that was given is the fleet's; one that was made here could open nothing of what others have sealed.
  const fleetKeys = settings.masterKey === undefined ? undefined : secrets;
  const shared = given ?? teardown.add(await openSharedTier(settings, fleetKeys, log));
  const store = new GatewayStore(settings.databaseUrl, directory, (isUp, code) => {
    if (isUp) log.info("the database of record is there");
    else
      log.warn(
        { code },
        "the database of record cannot be used: what is known of providers goes on being used, and of keys until their time is over",
      );
  });
  teardown.add(store);
  const guard = new AddressGuard(settings.allowedPrivateHosts);
  const sealer = new Sealer(secrets.masterKey, secrets.previousMasterKeys);
  const counters = [options.counter, shared.counter].filter((counter) => counter !== undefined);
  return { settings, directory, log, secrets, shared, counters, store, guard, sealer };
}

/** What answers requests, and knows for whom and by whom. */
interface Services {
  readonly providers: ProviderDirectory;
  readonly authenticator: Authenticator;
  readonly sync: RunningSync;
  readonly core: GatewayCore;
}

async function openServices(ground: Ground, teardown: Teardown): Promise<Services> {
  const { settings, shared, counters, store, guard, sealer, log } = ground;
  const { l2, bus, notes } = shared;
  const { upstreamConnections: connections } = settings;
  const trusted = teardown.add(new PooledUpstream({ connections }));
  const guarded = teardown.add(new PooledUpstream({ connections, guard }));
  teardown.nextFloor();
  const providers = teardown.add(new ProviderDirectory({ settings, store, sealer, bus, trusted, guarded, log }));
  const authenticator = teardown.add(new Authenticator(settings, store, bus));
  const sync = teardown.add(await startSync(ground));
  const { catalog, prices } = sync;
  const hasTenants = authModeOf(settings) === "keys";
  const parts = { settings, hasTenants, authenticator, directory: providers, log, catalog, prices, l2, bus, notes, counters };
  const core = await openWatchedCore(parts, teardown);
  return { providers, authenticator, sync, core };
}

/** The core with what watches it, where that is configured. The last numbers are sent while the cache still has what they are about. */
async function openWatchedCore(options: GatewayCoreOptions, teardown: Teardown): Promise<GatewayCore> {
  // The metrics read parts that are made a moment later.
  let core: GatewayCore | undefined;
  const telemetry = await startTelemetry(readTelemetrySettings(), () => (core as GatewayCore).parts, options.log);
  const close = async (): Promise<void> => {
    await telemetry?.close();
    await core?.close();
  };
  teardown.add({ close });
  core = createGatewayCore({ ...options, telemetry });
  return core;
}

/** What is seen of a gateway from outside. */
interface Front {
  readonly server: GatewayServer;
  readonly health: GatewayHealth;
}

async function openFront(ground: Ground, services: Services, options: StartOptions, teardown: Teardown): Promise<Front> {
  const { settings, secrets, shared, store, guard, sealer, log } = ground;
  const { providers: directory, authenticator, sync, core } = services;
  const { survey = new SoloSurvey(), worker } = options;
  const { parts, api } = core;
  const { answers, meter } = parts;
  const health = new GatewayHealth({ settings, store, shared, answers });
  const watcher = await watchCoherence(settings, shared, answers, log);
  if (watcher) teardown.add(watcher);
  const metrics = new Metrics({ meter, answers, backends: () => health.backends, watcher: watcher && (() => watcher.stats()), worker });
  survey.answer("metrics", () => metrics.render());
  survey.answer("stats", () => takeStats(parts));
  survey.answer("recent-requests", () => parts.planner.recent.all);
  const { adminToken } = secrets;
  const admin: AdminParts = { parts, store, sealer, guard, directory, authenticator, sync: sync.control, adminToken, survey, health };
  const adminListener = getRequestListener(createAdminApp(admin).fetch, { overrideGlobalObjects: false });
  const other = createFrontRouter({ admin, metrics, adminListener });
  const origins = new AllowedOrigins(settings.allowedOrigins);
  return { server: new GatewayServer({ api, other, bodyTimeoutMs: settings.bodyTimeout, origins }), health };
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
