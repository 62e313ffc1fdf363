import { expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../src/entrances/http/app.js";

/** An app whose store answers when it is told to. */
function appWith(more: Partial<AppOptions> = {}) {
  const waiting: (() => void)[] = [];
  const store = {
    read: () => new Promise((resolve) => waiting.push(() => resolve(undefined))),
  };
  const app = createApp({
    ports: { store } as unknown as AppOptions["ports"],
    publicUrl: "http://localhost",
    company: async () => ({}) as never,
    readiness: async () => ({ postgres: true, temporal: true }),
    requestsPerSecond: 100,
    onFault: () => {},
    patience: { tokenMs: 100, workMs: 100 },
    ...more,
  });
  const ask = () => app.request("/v1/runs", { headers: { authorization: `Bearer wp_${"A".repeat(43)}` } });
  return { app, ask, waiting };
}

test("a store that says nothing is a 503 with Retry-After in time, not a request that hangs", async () => {
  const { ask } = appWith();
  const began = performance.now();
  const answer = await ask();
  expect(performance.now() - began).toBeLessThan(2_000);
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  expect(((await answer.json()) as { detail: string }).detail).toBe(
    "no answer in time; it may have been taken: ask again, with the same id",
  );
});

test("behind it requests don't gather without end: beyond a number they are refused at once, until some have ended", async () => {
  const { ask, waiting, app } = appWith({ underWayMax: 3 });
  await Promise.all([ask(), ask(), ask()]);
  const began = performance.now();
  const answer = await ask();
  expect(performance.now() - began).toBeLessThan(80);
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  expect(((await answer.json()) as { detail: string }).detail).toContain("too many requests are under way");
  expect((await app.request("/healthz")).status).toBe(200);
  for (const answered of waiting) answered();
  await new Promise((resolve) => setTimeout(resolve, 0));
  const later = ask();
  await new Promise((resolve) => setTimeout(resolve, 0));
  waiting.at(-1)?.();
  expect((await later).status).toBe(401);
});
