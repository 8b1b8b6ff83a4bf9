import { afterEach, describe, expect, it } from "vitest";
import { fromIsoDate } from "./normalize.ts";

describe("a date of an upstream", () => {
  const zone = process.env.TZ;
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  it.each([
    ["2026-06-05", "2026-06-05T00:00:00Z"],
    ["2026-06", "2026-06-01T00:00:00Z"],
    ["2026-06-05T10:00:00", "2026-06-05T10:00:00Z"],
    ["2026-06-05 10:00", "2026-06-05T10:00:00Z"],
    ["2026-06-05T10:00:00.5Z", "2026-06-05T10:00:00.500Z"],
    ["2026-06-05T10:00:00+02:00", "2026-06-05T08:00:00Z"],
    ["2026-06-05T10:00:00-0200", "2026-06-05T12:00:00Z"],
  ])("is the same instant on every machine of a fleet, wherever it stands: %s", (told, instant) => {
    for (const place of ["UTC", "America/New_York", "Asia/Tokyo"]) {
      process.env.TZ = place;
      expect(fromIsoDate(told)).toBe(Date.parse(instant));
    }
  });

  it.each([undefined, null, "", "soon", "2026", "2026-13", "2026-06-05T99:00"])("is unknown when it is none: %j", (told) => {
    expect(fromIsoDate(told)).toBeUndefined();
  });

  it.each(["2026-06-5", "2026-06/05", "2026-06-05 (expected)", "2026-06 or later"])(
    "is unknown where a person would guess it, since each machine would guess it in a zone of its own: %s",
    (told) => {
      for (const place of ["UTC", "America/New_York", "Asia/Tokyo"]) {
        process.env.TZ = place;
        expect(fromIsoDate(told)).toBeUndefined();
      }
    },
  );
});
