import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type SurveyEnd, SurveyHub, WorkerSurvey } from "./worker-survey.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The two ends of a channel: what goes in at one comes out of the other, as JSON carries it. */
function channel(): readonly [SurveyEnd, SurveyEnd] {
  const listeners: Array<Array<(message: unknown) => void>> = [[], []];
  const end = (own: 0 | 1): SurveyEnd => ({
    send: (message) =>
      queueMicrotask(() => {
        for (const listener of listeners[1 - own] as Array<(message: unknown) => void>) listener(JSON.parse(JSON.stringify(message)));
      }),
    listen: (onMessage) => void listeners[own]?.push(onMessage),
  });
  return [end(0), end(1)];
}

function addWorker(hub: SurveyHub, answer?: () => unknown): { survey: WorkerSurvey; end: () => void } {
  const [inPrimary, inWorker] = channel();
  const survey = new WorkerSurvey(inWorker);
  survey.answer("number", answer ?? (() => new Promise(() => undefined)));
  return { survey, end: hub.add(inPrimary) };
}

it("gathers every worker's answer, whoever asks, and keeps several questions apart", async () => {
  const hub = new SurveyHub();
  const [first, second] = [addWorker(hub, () => 1), addWorker(hub, async () => 2)];
  const asked = await Promise.all([first.survey.ask("number"), second.survey.ask("number"), first.survey.ask("number")]);
  expect(asked.map((values) => [...values].sort())).toEqual([
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
});

it("leaves a worker out that stands still, or ends while it is asked", async () => {
  const hub = new SurveyHub();
  const asker = addWorker(hub, () => 1);
  const stuck = addWorker(hub);
  const asked = asker.survey.ask("number");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await asked).toEqual([1]);
  const again = asker.survey.ask("number");
  await vi.advanceTimersByTimeAsync(0);
  stuck.end();
  expect(await again).toEqual([1]);
});

it("does not wait again for a worker that stands still, nor ask it more, until it says something", async () => {
  const hub = new SurveyHub();
  const asker = addWorker(hub, () => 1);
  let answer = (_: number): void => undefined;
  let questions = 0;
  addWorker(hub, () => {
    questions += 1;
    return new Promise<number>((resolve) => {
      answer = resolve;
    });
  });
  const first = asker.survey.ask("number");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await first).toEqual([1]);
  for (let round = 0; round < 3; round += 1) expect(await asker.survey.ask("number")).toEqual([1]);
  expect(questions).toBe(1);
  answer(2);
  await vi.advanceTimersByTimeAsync(0);
  const last = asker.survey.ask("number");
  await vi.advanceTimersByTimeAsync(0);
  answer(2);
  expect(await last).toEqual([1, 2]);
});

it("leaves a worker out that fails to answer, and hands on what the question is about", async () => {
  const hub = new SurveyHub();
  const asker = addWorker(hub, () => 1);
  addWorker(hub, () => {
    throw new Error("no number");
  });
  expect(await asker.survey.ask("number")).toEqual([1]);
  asker.survey.answer("twice", (about) => [about, about]);
  expect(await asker.survey.ask("twice", { of: 3 })).toEqual([[{ of: 3 }, { of: 3 }]]);
});

it("tells when the primary does not answer", async () => {
  const [, inWorker] = channel();
  const asked = new WorkerSurvey(inWorker).ask("number").catch((error: Error) => error.message);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(await asked).toBe("the primary process did not answer");
});
