import { describe, expect, it } from "vitest";
import { parseCommand, UsageError } from "./parse-command.ts";

const known = ["memory", "tiered", "gateway"];

describe("parseCommand", () => {
  it("runs everything when nothing is named, and what is named in the bench's order", () => {
    expect(parseCommand([], known)).toMatchObject({ kind: "run", scenarios: known, quick: false });
    expect(parseCommand(["gateway", "memory", "--quick"], known)).toMatchObject({ scenarios: ["memory", "gateway"], quick: true });
  });

  it("takes the separator that npm needs", () => {
    expect(parseCommand(["--", "tiered", "--json", "out.json"], known)).toMatchObject({
      scenarios: ["tiered"],
      files: { json: "out.json" },
    });
  });

  it("reads large numbers with separators and refuses what is no count", () => {
    expect(parseCommand(["--schedules", "1_000_000", "--seed", "7"], known)).toMatchObject({ schedules: 1_000_000, seed: 7 });
    expect(() => parseCommand(["--seed", "many"], known)).toThrow('--seed must be a whole number of at least 1, and is "many"');
    expect(() => parseCommand(["--schedules", "0"], known)).toThrow(UsageError);
    expect(parseCommand(["--soak", "10"], known)).toMatchObject({ soakMinutes: 10 });
  });

  it("refuses a flag whose value is empty, as that of a variable is which is not set: the run would end without its report", () => {
    for (const flag of ["json", "html", "markdown", "traces", "replay"])
      expect(() => parseCommand(["memory", `--${flag}`, ""], known)).toThrow(`--${flag} is empty`);
  });

  it("says what there is when a scenario is unknown, and shows the form of compare and render", () => {
    expect(() => parseCommand(["mem"], known)).toThrow("no scenario is called mem: there are memory, tiered, gateway");
    expect(() => parseCommand(["compare", "a.json"], known)).toThrow("bench compare BEFORE.json AFTER.json");
    expect(parseCommand(["compare", "a.json", "b.json"], known)).toEqual({ kind: "compare", before: "a.json", after: "b.json" });
    expect(() => parseCommand(["--fast"], known)).toThrow(UsageError);
  });
});
