import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Cable, startCable } from "../support/cable.js";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../support/installation.js";

let house: Installation;
let postgres: Cable;
let temporal: Cable;

beforeAll(async () => {
  const [host = "", port = ""] = (inject("temporalAddress") as string).split(":");
  temporal = await startCable(host, Number(port));
  house = await startInstallation(
    { TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`, WAYPOST_REQUESTS_PER_SECOND: 20 },
    async (url) => {
      const far = new URL(url);
      postgres = await startCable(far.hostname, Number(far.port));
      far.hostname = "127.0.0.1";
      far.port = String(postgres.port);
      return far.toString();
    },
  );
  await house.startWorker();
  await house.ask("POST", "/v1/playbooks", { body: { files: smallWorkspace() } });
  await house.ask("PUT", "/v1/customers", {
    body: {
      accounts: [{ id: "awayco", fields: { name: "Acme", timezone: "UTC" } }],
      contacts: [
        {
          id: "c1",
          accountId: "awayco",
          fields: { name: "Pat", email: "pat@awayco.example", role: "champion", is_active: true },
        },
      ],
    },
  });
}, 120_000);
afterAll(async () => {
  await postgres?.mend().catch(() => {});
  await temporal?.mend().catch(() => {});
  await house?.stop();
  await postgres?.cut();
  await temporal?.cut();
});

const event = (id: string) => ({ id, name: "signal.raised", account: "awayco", payload: {} });

test("while Postgres is away: 503 with Retry-After, nothing half done, and it goes on by itself", async () => {
  const token = await house.token("events:write", "runs:read");
  await postgres.cut();
  const answer = await house.ask("POST", "/v1/events", { body: event("away-1"), token });
  expect([answer.status, answer.headers.get("retry-after"), answer.body.type]).toEqual([
    503,
    "5",
    "urn:waypost:problem:unavailable",
  ]);
  const ready = await house.ask("GET", "/readyz", { token: "" });
  expect([ready.status, ready.headers.get("retry-after"), ready.body]).toEqual([
    503,
    "5",
    { ok: false, postgres: false, temporal: true },
  ]);
  expect((await house.ask("GET", "/healthz", { token: "" })).status).toBe(200);
  expect((await house.ask("POST", "/unsubscribe/abc", { token: "" })).status).toBe(503);

  await postgres.mend();
  const again = await eventually(async () => {
    const sent = await house.ask("POST", "/v1/events", { body: event("away-1"), token });
    return sent.status === 503 ? undefined : sent;
  });
  expect(again.status).toBe(202);
  await eventually(async () => (await house.ask("GET", "/v1/runs?account=awayco", { token })).body.runs[0]);
}, 120_000);

test("while Temporal is away: what is accepted waits, operating a run is 503, and the worker stays up", async () => {
  const run = await eventually(async () => {
    const found = (await house.ask("GET", "/v1/runs?account=awayco")).body.runs[0];
    return found?.position.includes("answer") ? found.id : undefined;
  });
  await temporal.cut();
  const pause = await house.ask("POST", `/v1/runs/${encodeURIComponent(run)}/pause`);
  expect([pause.status, pause.headers.get("retry-after")]).toEqual([503, "5"]);
  const lost = { id: "away-2", name: "contract.lost", payload: { contract_id: "k1" } };
  await house.ask("PUT", "/v1/customers", {
    body: { contracts: [{ id: "k1", accountId: "awayco", fields: { status: "active" } }] },
  });
  expect((await house.ask("POST", "/v1/events", { body: lost })).status).toBe(202);
  const ready = await house.ask("GET", "/readyz", { token: "" });
  expect(ready.body).toEqual({ ok: false, postgres: true, temporal: false });

  await temporal.mend();
  const ended = await eventually(async () => {
    const { body } = await house.ask("GET", `/v1/runs/${encodeURIComponent(run)}`);
    return body.status === "ended" ? body : undefined;
  }, 60_000);
  expect(ended.outcome).toBe("churned");
}, 120_000);

test("more than the token's rate is 429 with Retry-After, and others are not touched", async () => {
  const [greedy, modest] = [await house.token("runs:read"), await house.token("runs:read")];
  const answers = await Promise.all(Array.from({ length: 160 }, () => house.ask("GET", "/v1/runs", { token: greedy })));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(10);
  expect(refused[0]?.headers.get("retry-after")).toBe("1");
  expect(refused[0]?.body).toMatchObject({ type: "urn:waypost:problem:too-many-requests", status: 429, errors: [] });
  expect((await house.ask("GET", "/v1/runs", { token: modest })).status).toBe(200);
});

test("wrong tokens from one address are 429 after fifty, whatever they are; a right one is not touched", async () => {
  const right = await house.token("runs:read");
  const guesses = Array.from({ length: 90 }, (_, index) => `wp_${String(index).padStart(43, "A")}`);
  const answers = await Promise.all(guesses.map((token) => house.ask("GET", "/v1/runs", { token })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429]));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(20);
  expect(refused[0]?.headers.get("retry-after")).toBe("1");
  expect((await house.ask("GET", "/v1/runs", { token: right })).status).toBe(200);
});
