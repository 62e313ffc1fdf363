import { readdirSync, readFileSync } from "node:fs";
import PostalMime from "postal-mime";
import { describe, expect, test } from "vitest";
import { createMailComposer } from "../../../src/adapters/email/compose.js";

const composer = createMailComposer({
  domain: "waypost.example",
  publicUrl: "https://waypost.example",
});

const COMPANY = {
  name: "Waypost Analytics",
  postalAddress: "12 Harbour Street, London",
  supportEmail: "support@waypost.example",
  categoryTitles: { onboarding: { en: "Getting started", ru: "Начало работы", pl: "Pierwsze kroki" } },
};

const files = readdirSync("playbooks", { recursive: true, encoding: "utf8" })
  .filter((file) => /\/templates\/[\w-]+\.\w+\.md$/.test(file))
  .map((file) => `playbooks/${file}`)
  .sort();

describe("every shipped template becomes a mail", () => {
  test("there are some", () => {
    expect(files.length).toBeGreaterThan(0);
  });

  test.each(files)("%s", async (file) => {
    const source = readFileSync(file, "utf8");
    const [, name = "", locale = ""] = /([\w-]+)\.(\w+)\.md$/.exec(file) ?? [];
    const raw = async (variables: Record<string, string | number>) =>
      (
        await composer.mail({
          deliveryId: "3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10",
          template: { name, locale, source },
          variables: { "contract.currency": "EUR", ...variables },
          timezone: "Europe/Warsaw",
          from: { name: "Anna Nowak", address: "anna@waypost.example" },
          to: { name: "Jan Kowalski", address: "jan@acme.example" },
          category: "onboarding",
          unsubscribeToken: "k3Jq0xO7Yl9hX2bD5mN8vA",
          at: Date.UTC(2026, 2, 2, 9, 0),
          company: COMPANY,
        })
      ).raw;
    const values = composer.references(source).map((path): [string, string | number] => {
      const isLink = path.startsWith("links.") || path.endsWith("_url") || path.endsWith("url");
      if (isLink) return [path, "https://waypost.example/x"];
      return [path, /_at$|_date$|date$/.test(path) ? Date.UTC(2026, 5, 1, 12) : `Wert*${path}*`];
    });
    const email = await PostalMime.parse(await raw(Object.fromEntries(values)));
    expect(email.subject?.trim()).not.toBe("");
    expect(email.text).not.toMatch(/\{\{|\{%|\\/);
    expect(email.html).not.toMatch(/\{\{|\{%|\]\(|&lt;/);
    // Nothing of the Markdown is left standing as marks.
    expect((email.text ?? "").replaceAll(/Wert\*[^*]*\*/g, "")).not.toContain("*");
  });
});
