import { expect, test } from "vitest";
import { unsubscribePage } from "../../../src/entrances/http/unsubscribe.js";
import { StoreUnavailable } from "../../../src/ports/transactions.js";

const company = () => ({
  name: "Waypost <Analytics>",
  categoryTitles: { onboarding: { en: "Getting started", ru: "Начало работы", pl: "Pierwsze kroki" } },
});

function pageWith(unsubscribe: (request: { token: string; all: boolean }) => Promise<void> = async () => {}) {
  const seen: { token: string; all: boolean }[] = [];
  const page = unsubscribePage({
    unsubscribe: async (request) => {
      seen.push(request);
      await unsubscribe(request);
    },
    company,
  });
  return { page, seen };
}

const form = (body: string) => ({
  method: "POST",
  body,
  headers: { "content-type": "application/x-www-form-urlencoded" },
});

test.each([
  ["?lang=en&about=onboarding", undefined, "Stop receiving “Getting started” from Waypost &#60;Analytics&#62;?"],
  ["?lang=ru&about=onboarding", undefined, "Больше не получать письма «Начало работы» от Waypost &#60;Analytics&#62;?"],
  [
    "?lang=pl-PL&about=onboarding",
    undefined,
    "Zrezygnować z wiadomości „Pierwsze kroki” od Waypost &#60;Analytics&#62;?",
  ],
  ["", "ru-RU,ru;q=0.9", "Больше не получать эти письма от Waypost &#60;Analytics&#62;?"],
  ["?lang=xx&about=constructor", "zz", "Stop receiving these e-mails from Waypost &#60;Analytics&#62;?"],
  ["?about=<script>", undefined, "Stop receiving these e-mails from Waypost &#60;Analytics&#62;?"],
])("GET %s asks, in the reader's language, and does nothing", async (query, acceptLanguage, heading) => {
  const { page, seen } = pageWith();
  const headers = acceptLanguage === undefined ? {} : { "accept-language": acceptLanguage };
  const response = await page.request(`/unsubscribe/tok${query}`, { headers });
  const html = await response.text();
  expect(response.status).toBe(200);
  expect(html).toContain(`<h1>${heading}</h1>`);
  expect(html).not.toContain("<script");
  expect(response.headers.get("content-security-policy")).toBe(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  );
  expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  expect(seen).toEqual([]);
});

test.each([
  ["a mail program's one click", form("List-Unsubscribe=One-Click"), false],
  ["no body at all", { method: "POST" }, false],
  ["a body that is no form", { method: "POST", body: "{}", headers: { "content-type": "application/json" } }, false],
  ["the first button", form("scope=category"), false],
  ["the second button", form("scope=all"), true],
])("POST with %s acts at once", async (_, init, all) => {
  const { page, seen } = pageWith();
  const response = await page.request("/unsubscribe/abc_DEF-1?lang=en&about=onboarding", init);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("<h1>You are unsubscribed</h1>");
  expect(seen).toEqual([{ token: "abc_DEF-1", all }]);
});

test("a multipart one click acts too", async () => {
  const { page, seen } = pageWith();
  const body = new FormData();
  body.set("List-Unsubscribe", "One-Click");
  expect((await page.request("/unsubscribe/abc", { method: "POST", body })).status).toBe(200);
  expect(seen).toEqual([{ token: "abc", all: false }]);
});

test("a token that can't be one is not looked up, and looks like any other", async () => {
  const { page, seen } = pageWith();
  const response = await page.request("/unsubscribe/%27%20or%201=1", { method: "POST" });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("<h1>You are unsubscribed</h1>");
  expect(seen).toEqual([]);
});

test("while the store is away: 503, and when to come back", async () => {
  const { page } = pageWith(async () => {
    throw new StoreUnavailable("away");
  });
  const response = await page.request("/unsubscribe/abc?lang=pl", { method: "POST" });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("30");
  expect(await response.text()).toContain("Proszę spróbować ponownie za minutę.");
});

test("a large body is refused", async () => {
  const { page, seen } = pageWith();
  expect((await page.request("/unsubscribe/abc", form("x".repeat(20_000)))).status).toBe(413);
  expect(seen).toEqual([]);
});
