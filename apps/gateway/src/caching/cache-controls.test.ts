import { expect, it } from "vitest";
import { defaultControls, readControls } from "./cache-controls.ts";

type Mode = Parameters<typeof defaultControls>[0];
const MODES = ["on", "read-only", "write-only", "off"] as const;
const ASKED: ReadonlyArray<Readonly<Record<string, string>>> = [
  {},
  ...["on", "off", "read-only", "write-only", "refresh"].map((mode) => ({ "x-larder-cache-mode": mode })),
  ...["no-store", "no-cache", "max-age=5", "only-if-cached"].map((directive) => ({ "cache-control": directive })),
  ...["true", "false"].map((wanted) => ({ "x-openrouter-cache": wanted })),
  { "x-openrouter-cache-clear": "true" },
];

const controlsOf = (mode: Mode, headers: Readonly<Record<string, string>>) =>
  readControls({ headers: () => headers }, defaultControls(mode, "original"));

/** What the cache may do: `r` reads, `w` writes. */
const may = (mode: Mode, headers: Readonly<Record<string, string>>): string => {
  const { isRead, isWrite } = controlsOf(mode, headers);
  return (isRead ? "r" : "") + (isWrite ? "w" : "");
};

it("a request narrows what the gateway's mode allows, and never widens it", () => {
  const allowed: Record<Mode, string> = { on: "rw", "read-only": "r", "write-only": "w", off: "" };
  const narrowed = ["rw", "rw", "", "r", "w", "w", "", "w", "rw", "rw", "rw", "", "w"];
  for (const mode of MODES)
    for (const [index, headers] of ASKED.entries()) {
      const both = [...(narrowed[index] as string)].filter((right) => allowed[mode].includes(right)).join("");
      expect([mode, headers, may(mode, headers)]).toEqual([mode, headers, both]);
    }
});

it("an answer is made anew in place of a stored one where only writing is left", () => {
  for (const mode of MODES)
    for (const headers of ASKED)
      expect([mode, headers, controlsOf(mode, headers).isRefresh]).toEqual([mode, headers, may(mode, headers) === "w"]);
});
