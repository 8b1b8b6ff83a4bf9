import { readSettings } from "@larder/gateway";
import { describe, expect, it } from "vitest";
import { larderEnvironment } from "../src/scenarios/gateway-servers.ts";

describe("the gateway under test", () => {
  it("asks no source of providers: the bench does not leave the machine, and what is downloaded is not measured", () => {
    const settings = readSettings(larderEnvironment("/none", 1, 2, undefined), "/none");
    expect(settings.openaiBaseUrl).toBe("http://127.0.0.1:2/v1");
    expect(settings.syncSources).toEqual(["none"]);
  });
});
