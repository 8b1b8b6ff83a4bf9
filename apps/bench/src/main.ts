#!/usr/bin/env node
import { rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { checkPaths } from "./check-paths.ts";
import { type Command, parseCommand, renderHelp, UsageError } from "./parse-command.ts";
import { traceNames } from "./policies/traces.ts";
import { readReport, readText } from "./read-report.ts";
import { fillPage } from "./report/fill-page.ts";
import { renderHtmlReport } from "./report/html-report.ts";
import { renderMarkdownReport } from "./report/markdown-report.ts";
import { TerminalProgress } from "./report/terminal-progress.ts";
import { createTerminalStyle } from "./report/terminal-style.ts";
import { renderComparison } from "./report/text-comparison.ts";
import { renderScenario, renderSummary } from "./report/text-report.ts";
import type { RunReport } from "./run-report.ts";
import { runScenarios } from "./run-scenarios.ts";
import { runInProcess } from "./scenario-process.ts";
import { scenarioLoaders } from "./scenarios/index.ts";

const DEFAULT_TRACES = "../shared/traces";
const INTERRUPTED_CODE = 130;

/** Whole or not at all: an interrupted run leaves no half file. */
async function writeWhole(file: string, text: string): Promise<void> {
  const making = `${file}.${process.pid}.part`;
  try {
    await writeFile(making, text);
    await rename(making, file);
  } catch (error) {
    await rm(making, { force: true });
    throw error;
  }
}

async function writeFiles(report: RunReport, files: { json?: string; html?: string; markdown?: string }): Promise<void> {
  if (files.json) await writeWhole(files.json, `${JSON.stringify(report, null, 1)}\n`);
  if (files.html) await writeWhole(files.html, await renderHtmlReport(report));
  if (files.markdown) await writeWhole(files.markdown, renderMarkdownReport(report));
}

function stopOnSignals(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(INTERRUPTED_CODE);
      stopping.abort(new Error(`stopped by ${signal}`));
    });
  }
  return stopping.signal;
}

async function runBench(command: Extract<Command, { kind: "run" }>): Promise<number> {
  await checkPaths(command);
  const signal = stopOnSignals();
  const style = createTerminalStyle(process.stdout);
  const progress = new TerminalProgress(process.stderr, createTerminalStyle(process.stderr));
  // Any folder may be called so: it counts where there are traces in it.
  const tracesFolder = command.traces ?? ((await traceNames(DEFAULT_TRACES)).length > 0 ? resolve(DEFAULT_TRACES) : undefined);
  const { quick, seed, schedules, soakMinutes } = command;
  const request = { quick, seed, schedules, soakMinutes, tracesFolder, replayFile: command.replay };
  try {
    const report = await runScenarios(command.scenarios, {
      quick,
      seed,
      signal,
      progress,
      runOne: (name) => runInProcess({ name, request }, { signal, progress }),
      onReport: (scenario) => process.stdout.write(`\n${renderScenario(scenario, style)}\n`),
    });
    await writeFiles(report, command.files);
    process.stdout.write(`${renderSummary(report, style)}\n`);
    return report.scenarios.some(({ outcome }) => outcome.status === "failed") ? 1 : 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    process.stderr.write("\nstopped: nothing was written\n");
    return INTERRUPTED_CODE;
  }
}

async function main(): Promise<number> {
  const command = parseCommand(process.argv.slice(2), Object.keys(scenarioLoaders));
  if (command.kind === "run") return runBench(command);
  if (command.kind === "compare") {
    const style = createTerminalStyle(process.stdout);
    process.stdout.write(`${renderComparison(await readReport(command.before), await readReport(command.after), style)}\n`);
  } else if (command.kind === "fill") {
    const report = await readReport(command.file);
    for (const page of command.pages) await writeWhole(page, fillPage(await readText(page), report));
  } else if (command.kind === "render") {
    await writeFiles(await readReport(command.file), command.files);
  } else {
    process.stdout.write(renderHelp(await describeScenarios()));
  }
  return 0;
}

async function describeScenarios(): Promise<ReadonlyArray<readonly [string, string]>> {
  return Promise.all(Object.entries(scenarioLoaders).map(async ([name, load]) => [name, (await load()).title] as const));
}

try {
  process.exit(await main());
} catch (error) {
  // A wrong word on the command line is the caller's to mend; anything else is ours, and its place helps.
  process.stderr.write(
    `bench: ${error instanceof UsageError || !(error instanceof Error) ? String((error as Error).message) : (error.stack ?? error.message)}\n`,
  );
  process.exit(error instanceof UsageError ? 2 : 1);
}
