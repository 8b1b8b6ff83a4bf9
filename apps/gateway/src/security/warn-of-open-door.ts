import type { Settings } from "../config/schema.ts";
import type { Log } from "../telemetry/log.ts";
import { authModeOf, isLoopback } from "./authenticator.ts";

/** Without keys everybody is one tenant, and spends on the operator's accounts: meant on one machine, and seldom beyond it. */
export function warnOfOpenDoor(settings: Settings, log: Log): void {
  if (authModeOf(settings) !== "none" || isLoopback(settings.host)) return;
  log.warn(
    { host: settings.host },
    "nobody is asked for a key (LARDER_AUTH=none), and not only this machine can connect: whoever does uses the providers' accounts and shares one cache",
  );
}
