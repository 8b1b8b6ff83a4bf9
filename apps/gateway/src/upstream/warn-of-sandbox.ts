import type { Log } from "../telemetry/log.ts";
import type { ProviderTable } from "./provider-table.ts";

/** The sandbox is there to try the gateway with. Beside other providers it answers whatever name leads to none of them: a misspelt one, say. */
export function warnOfSandbox({ fallback, providers }: Pick<ProviderTable, "fallback" | "providers">, log: Log): void {
  if (fallback.source !== "sandbox" || providers.size === 1) return;
  log.warn(
    "there is no default upstream (OPENAI_BASE_URL): models that lead to no provider are answered by the sandbox, which makes its answers up",
  );
}
