import fc from "fast-check";
import PostalMime from "postal-mime";
import { describe, expect, test } from "vitest";
import { createMailComposer } from "../../../src/adapters/email/compose.js";
import { readFrontMatter } from "../../../src/adapters/email/front-matter.js";
import { escapeMarkdown, renderMarkdown } from "../../../src/adapters/email/markdown.js";
import { parseOnlyTo } from "../../../src/adapters/email/only-to.js";
import { type MailDraft, TextFault } from "../../../src/ports/composer.js";

const OPTIONS = {
  domain: "mail.waypost.example",
  publicUrl: "https://waypost.example/app/",
  replyDomain: "in.waypost.example",
};
const COMPANY = {
  name: "Waypost Analytics",
  postalAddress: "12 Harbour Street, London",
  supportEmail: "support@waypost.example",
  categoryTitles: { onboarding: { en: "Getting started", ru: "Начало работы", pl: "Pierwsze kroki" } },
};

const composer = createMailComposer(OPTIONS);

const SOURCE = `---
subject: "Welcome, {{ contact.first_name }}"
preheader: Three dates for the kickoff
---
Dear {{ contact.first_name }},

welcome to **Waypost**. We begin on {{ contract.start_date | date_long }}.

[Choose a time]({{ csm.booking_url }})

- {{ usage.key_actions_7d | number }} key actions
- {{ contract.arr | money: "EUR" }}
`;

function draft(changes: Partial<MailDraft> = {}, source = SOURCE, locale = "en"): MailDraft {
  return {
    deliveryId: "3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10",
    template: { name: "welcome", locale, source },
    variables: {
      "contact.first_name": "Jan",
      "contract.start_date": Date.UTC(2026, 2, 1, 23, 30),
      "contract.arr": 120000,
      "csm.booking_url": "https://book.waypost.example/anna?x=1&y=2",
      "usage.key_actions_7d": 12345.678,
    },
    timezone: "Europe/Warsaw",
    from: { name: "Anna Nowak", address: "anna@waypost.example" },
    to: { name: "Jan Kowalski", address: "jan@acme.example" },
    category: "onboarding",
    unsubscribeToken: "tok_en-1",
    at: Date.UTC(2026, 2, 2, 9, 0),
    company: COMPANY,
    ...changes,
  };
}

async function parsed(changes: Partial<MailDraft> = {}, source = SOURCE, locale = "en") {
  const message = await composer.mail(draft(changes, source, locale));
  const email = await PostalMime.parse(message.raw);
  const header = (name: string) =>
    email.headers.filter((item) => item.key === name.toLowerCase()).map((item) => item.value);
  return { message, email, header };
}

describe("the message", () => {
  test("its envelope and headers", async () => {
    const { message, email, header } = await parsed();
    expect(message.messageId).toBe("<3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10@mail.waypost.example>");
    expect(message.envelope).toEqual({ from: "anna@waypost.example", to: "jan@acme.example" });
    expect(email.messageId).toBe(message.messageId);
    expect(email.subject).toBe("Welcome, Jan");
    expect(email.from).toEqual({ name: "Anna Nowak", address: "anna@waypost.example" });
    expect(email.to).toEqual([{ name: "Jan Kowalski", address: "jan@acme.example" }]);
    expect(email.date).toBe("2026-03-02T09:00:00.000Z");
    expect(header("Reply-To")).toEqual(["reply+3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10@in.waypost.example"]);
    expect(header("Auto-Submitted")).toEqual(["auto-generated"]);
    expect(header("X-Waypost-Delivery")).toEqual(["3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10"]);
    expect(header("X-Waypost-Template")).toEqual(["welcome"]);
    expect(header("Content-Language")).toEqual(["en"]);
    expect(message.raw).toContain(
      "\r\nList-Unsubscribe: <https://waypost.example/app/unsubscribe/tok_en-1?lang=en&about=onboarding>\r\n",
    );
    expect(message.raw).toContain("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    expect(header("X-Mailer")).toEqual([]);
  });

  test("its text", async () => {
    const { email } = await parsed();
    expect(email.text?.replaceAll("\r\n", "\n").trimEnd()).toBe(`Dear Jan,

welcome to Waypost. We begin on March 2, 2026.

Choose a time <https://book.waypost.example/anna?x=1&y=2>

- 12,345.68 key actions
- €120,000

----------------------------------------
You receive this mail because you work with Waypost Analytics.
Waypost Analytics · 12 Harbour Street, London
Unsubscribe from “Getting started”: https://waypost.example/app/unsubscribe/tok_en-1?lang=en&about=onboarding`);
  });

  test("its HTML has the preheader, the button and the link", async () => {
    const html = (await parsed()).email.html ?? "";
    expect(html).toContain(">Three dates for the kickoff&#847;");
    expect(html).toMatch(/<a href="https:\/\/book\.waypost\.example\/anna\?x=1&amp;y=2" style="display:inline-block/);
    expect(html).toContain('href="https://waypost.example/app/unsubscribe/tok_en-1?lang=en&#38;about=onboarding"');
    expect(html).toContain('<html lang="en">');
  });

  test("is the same, byte for byte, however often it is made", async () => {
    const first = (await composer.mail(draft())).raw;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await createMailComposer(OPTIONS).mail(draft())).raw).toBe(first);
    expect((await composer.mail(draft({ at: Date.UTC(2026, 2, 2, 9, 1) }))).raw).not.toBe(first);
  });

  test("a category that can't be left has no link and no header", async () => {
    const { unsubscribeToken: _, ...rest } = draft({ category: "service" });
    const { raw } = await composer.mail(rest);
    const email = await PostalMime.parse(raw);
    expect(raw).not.toContain("List-Unsubscribe");
    expect(email.html).not.toContain("/unsubscribe/");
    expect(email.text).toContain("This is a notice about your contract with Waypost Analytics.");
  });

  test("is 7-bit with lines of at most 998 bytes, also with long words and Cyrillic", async () => {
    const { message } = await parsed(
      {},
      `---\nsubject: ${"Добро пожаловать ".repeat(20)}\n---\n${"слово".repeat(400)}`,
    );
    expect(message.raw).toMatch(/^[\x00-\x7f]*$/);
    expect(Math.max(...message.raw.split("\r\n").map((line) => line.length))).toBeLessThan(998);
    expect(message.raw.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  });
});

describe("languages", () => {
  const source = '---\nsubject: "{{ x }}"\n---\n{{ at | date_long }}, {{ arr | money: "PLN" }}, {{ share | percent }}';
  const values = { at: Date.UTC(2026, 4, 3, 22, 30), arr: 1234.5, share: 0.42 };

  test.each([
    ["en", "Żółw & ёж", "May 4, 2026, PLN 1,234.50, 42%", "You receive this mail because"],
    ["ru", "Начало — «ёж»", "4 мая 2026 года, 1 234,50 PLN, 42 %", "Вы получили это письмо"],
    ["pl", "Zażółć gęślą jaźń 🎉", "4 maja 2026, 1234,50 zł, 42%", "Otrzymują Państwo tę wiadomość"],
    ["pl-PL", "x", "4 maja 2026, 1234,50 zł, 42%", "Otrzymują Państwo tę wiadomość"],
    ["de", "x", "4. Mai 2026, 1.234,50 PLN, 42 %", "You receive this mail because"],
  ])("%s: subject, dates, numbers and footer", async (locale, x, line, footer) => {
    const { email, message, header } = await parsed(
      { variables: { ...values, x }, from: { name: x, address: "anna@waypost.example" } },
      source,
      locale,
    );
    expect(email.subject).toBe(x);
    expect(email.from?.name).toBe(x);
    expect(header("Content-Language")).toEqual([locale]);
    expect(message.raw).toMatch(/^[\x00-\x7f]*$/);
    const text = (email.text ?? "").replace(/[\u00a0\u202f]/g, " ");
    expect(text.split(/\r?\n/)[0]).toBe(line);
    expect(text).toContain(footer);
  });
});

describe("a hostile value", () => {
  const HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "<https://evil.example>",
    "[x]: https://evil.example",
    "[a][x]",
    "https://evil.example",
    "**bold** _it_ `code` ~~s~~",
    "# heading",
    "- item",
    "1. item",
    "1) item",
    "> quote",
    "a\n\n# b\n\n[c](https://evil.example)",
    "\n    code",
    "```\ncode",
    "| a | b |\n|---|---|",
    "title\n===",
    "&lt;b&gt; &copy; &#60;",
    "{{ secret }} {% raw %}",
    "\\[x](https://evil.example)",
    "x](https://evil.example) [y",
    '" onclick="x',
    "a\r\nBcc: victim@x.example\r\n\r\nbody",
    "\u202Eevil\u2066",
    "a\u2028b\u0000c",
  ];

  test.each(HOSTILE)("%j is shown as it is", async (value) => {
    const source = `---
subject: "{{ x }}"
preheader: "{{ x }}"
---
{{ x }}

Before {{ x }} after **{{ x }}**

- {{ x }}

# {{ x }}

[{{ x }}](https://waypost.example)
`;
    const { email, message, header } = await parsed(
      {
        variables: { x: value },
        from: { name: value, address: "a@waypost.example" },
        to: { name: value, address: "b@x.example" },
      },
      source,
    );
    const html = email.html ?? "";
    const tags = [...html.matchAll(/<([a-z0-9]+)/gi)].map(([, tag]) => tag?.toLowerCase());
    expect(tags.filter((tag) => tag === "script" || tag === "img" || tag === "code" || tag === "blockquote")).toEqual(
      [],
    );
    expect([...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)).toEqual([
      "https://waypost.example",
      "https://waypost.example/app/unsubscribe/tok_en-1?lang=en&#38;about=onboarding",
    ]);
    expect(html).not.toMatch(/<[a-z][^>]*\son[a-z]+=/i);
    expect([...html.matchAll(/<(h1|ul|ol|li|em|strong|table role)/g)].map(([, tag]) => tag)).toEqual([
      "table role",
      "table role",
      "strong",
      "ul",
      "li",
      "h1",
      "table role",
    ]);
    const shown = value
      .replace(/[\u202E\u2066]/g, "")
      .replace(/[\p{Cc}\u2028 ]+/gu, " ")
      .trim();
    expect(email.subject).toBe(shown);
    expect(header("Bcc")).toEqual([]);
    expect(header("To").length).toBe(1);
    expect(message.envelope).toEqual({ from: "a@waypost.example", to: "b@x.example" });
    expect((email.text ?? "").replace(/\s+/g, " ").startsWith(`${shown.replace(/\s+/g, " ")} Before`)).toBe(true);
  });

  test("any text at all is shown as it is", () => {
    const marks = fc.constantFrom(..."[]()<>*_`#-+.!|~\\&;:/=\"' \n\t0123456789abé{}@^$");
    fc.assert(
      fc.property(fc.string({ unit: fc.oneof(marks, fc.string({ minLength: 1, maxLength: 1 })) }), (value) => {
        const html = renderMarkdown(`a ${escapeMarkdown(value)} b`);
        const text = html
          .replace(/^<p style="margin:0 0 16px">/, "")
          .replace(/<\/p>\n$/, "")
          .replaceAll("&lt;", "<")
          .replaceAll("&gt;", ">")
          .replaceAll("&quot;", '"')
          .replaceAll("&amp;", "&");
        const plain = value
          .replace(/[\u202A-\u202E\u2066-\u2069\u200E\u200F]/g, "")
          .replace(/\p{Surrogate}/gu, "\uFFFD")
          .replace(/[\p{Cc}\u2028\u2029 ]+/gu, " ");
        expect(text).toBe(`a ${plain.trim()} b`);
      }),
      { numRuns: 2_000 },
    );
  });

  test("as a link's target it can only be a web address, mail or telephone", async () => {
    const target = async (url: string) => {
      const source = "---\nsubject: x\n---\n[Go]({{ url }})";
      const html = (await parsed({ variables: { url } }, source)).email.html ?? "";
      return /<a href="([^"]*)"[^>]*>Go</.exec(html)?.[1];
    };
    expect(await target("https://x.example/a_b(c)?d=e&f=%20")).toBe("https://x.example/a_b(c)?d=e&amp;f=%20");
    expect(await target("javascript:alert(1)")).toBe(undefined);
    expect(await target("data:text/html,x")).toBe(undefined);
    expect(await target("https://x.example) [z](https://y.example")).toBe(undefined);
    expect(await target('https://x.example "title')).toBe(undefined);
  });
});

describe("templates that can't be filled in", () => {
  const attempt = (source: string, variables = {}) => composer.mail(draft({ variables }, source));

  test.each([
    ["---\nsubject: x\n---\none\n{{ account.name }}", "welcome.en.md: line 5: undefined variable: account.name"],
    ["---\nsubject: x\n---\n{% if a.b %}\n{{ a.c }}\n{% endif %}", "welcome.en.md: line 5: undefined variable: a.c"],
    ["---\nsubject: x\n---\n{{ a.b | nope }}", "welcome.en.md: line 4: undefined filter: nope"],
    ["---\nsubject: x\n---\n{{ a.b | raw }}", "welcome.en.md: line 4: undefined filter: raw"],
    ["---\nsubject: x\n---\n{% raw %}x{% endraw %}", 'welcome.en.md: line 4: tag "raw" not found'],
    ["---\nsubject: x\n---\n{% include 'x' %}", 'welcome.en.md: line 4: tag "include" not found'],
    ["---\nsubject: x\n---\n{% if a.b %}", "welcome.en.md: line 4: tag {% if a.b %} not closed"],
    [
      "---\nsubject: x\n---\n{{ n | money }}",
      'welcome.en.md: line 4: money: the currency is not known; write money: "EUR"',
    ],
    ["---\npreheader: x\n---\nx", "welcome.en.md: the front matter has no subject"],
    ["no head", "welcome.en.md: the front matter has no subject"],
  ])("%j", async (source, message) => {
    const error = await attempt(source, { "a.b": true, n: 1 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TextFault);
    expect((error as Error).message).toBe(message);
  });

  test("a value is never in the message", async () => {
    const error = await attempt("---\nsubject: x\n---\n{{ n | append }}", { n: 424242 }).catch((e) => e);
    expect((error as Error).message).toBe("welcome.en.md: line 4: can't be filled in");
  });

  test("a recipient's address that can't be one is left to the mailer to refuse, and is in no header", async () => {
    const { raw, envelope } = await composer.mail(
      draft({ to: { name: "x", address: "a@b.example\r\nBcc: c@d.example" } }),
    );
    expect(envelope.to).toBe("a@b.example\r\nBcc: c@d.example");
    expect(raw).not.toContain("d.example");
    expect(raw).toContain("\r\nTo: x <invalid@invalid>\r\n");
  });

  test("the sender's address and the delivery id are ours, and checked", async () => {
    const bad = { name: "x", address: "a@b.example, c@d.example" };
    await expect(composer.mail(draft({ from: bad }))).rejects.toThrow("the sender's address is not an address");
    await expect(composer.mail(draft({ deliveryId: "x\r\nBcc: y" }))).rejects.toThrow("can't stand in a header");
  });

  test.each([
    ["{{ a.b | default: 'there' }}", "there"],
    ["{{ a.b | date_long | default: 'soon' }}", "soon"],
    ["{% if c %}{{ a.b | date_long | default: 'soon' }}{% endif %}", "soon"],
    ["{% if a.b %}yes{% else %}no{% endif %}", "no"],
    ["{% unless a.b %}no{% endunless %}", "no"],
    ["{% if a.b and c %}yes{% elsif c %}c{% endif %}", "c"],
    ["{% assign q = a.b | default: 'x' %}{{ q }}", "x"],
    ["{{ list }}", "a, b"],
    ["{% for item in list %}{{ item }};{% endfor %}", "a;b;"],
    ["{{ day | date_long }}", "March 2, 2026"],
    ["{{ zero | default: 'none' }}", "0"],
  ])("but %s is guarded", async (source, expected) => {
    const variables = { c: true, list: ["a", "b"], day: "2026-03-02", zero: 0 };
    const style = { locale: "en", timezone: "UTC", markup: "plain" as const };
    expect(await composer.text(source, variables, style)).toBe(expected);
  });
});

describe("texts and references", () => {
  test("Slack's markup can't be written by a value", async () => {
    const style = { locale: "pl", timezone: "Europe/Warsaw", markup: "mrkdwn" as const };
    expect(
      await composer.text(
        "*{{ account.name }}* {{ arr | money }}",
        { "account.name": "<!channel> <https://evil.example|A & B>", arr: 5, "contract.currency": "EUR" },
        style,
      ),
    ).toBe("*&lt;!channel&gt; &lt;https://evil.example|A &amp; B&gt;* 5\u00a0€");
  });

  test.each([
    ["{{ n | money }}", { "contract.currency": "EUR", "company.currency": "USD" }, "€5"],
    ["{{ n | money }}", { "company.currency": "USD" }, "$5"],
    ["{{ n | money }}", { "contract.currency": "euro", "company.currency": "USD" }, "$5"],
    ["{{ n | money: c }}", { c: "zł", "company.currency": "USD" }, "$5"],
    ["{{ n | money: 'GBP' }}", { "contract.currency": "EUR" }, "£5"],
    ["{% if m < 3 %}few{% endif %}{% if m >= 0 %}some{% endif %}{% if n < 6 %}five{% endif %}", {}, "five"],
  ])("%s with %j", async (source, variables, expected) => {
    const style = { locale: "en", timezone: "UTC", markup: "plain" as const };
    expect(await composer.text(source, { n: 5, ...variables }, style)).toBe(expected);
  });

  test("a locale and a zone that nobody knows read as English and UTC", async () => {
    const style = { locale: "pl_PL", timezone: "Mars/Olympus", markup: "plain" as const };
    expect(await composer.text("{{ at | date_long }}", { at: Date.UTC(2026, 2, 2) }, style)).toBe("March 2, 2026");
  });

  test("every path a template mentions, branches and front matter included", () => {
    expect(composer.references(SOURCE)).toEqual([
      "contact.first_name",
      "contract.arr",
      "contract.start_date",
      "csm.booking_url",
      "usage.key_actions_7d",
    ]);
    expect(
      composer.references(
        "{% if a.b %}{{ c.d | default: e.f }}{% endif %}{% assign x = g.h %}{{ x }}{% for i in j.k %}{{ i }}{% endfor %}{{ l.m.size }}",
      ),
    ).toEqual(["a.b", "c.d", "e.f", "g.h", "j.k", "l.m"]);
    expect(() => composer.references("{% if %")).toThrow(TextFault);
  });

  test("a redirection shows who it was for", async () => {
    const redirecting = createMailComposer({ ...OPTIONS, onlyTo: parseOnlyTo("redirect:qa@waypost.example") as never });
    const { raw, envelope } = await redirecting.mail(draft());
    expect(envelope.to).toBe("qa@waypost.example");
    expect((await PostalMime.parse(raw)).to).toEqual([
      { name: "Jan Kowalski (jan@acme.example)", address: "qa@waypost.example" },
    ]);
  });

  test("the public address must be one", () => {
    expect(() => createMailComposer({ ...OPTIONS, publicUrl: "waypost.example" })).toThrow(
      '"waypost.example" is not the public address of this installation: expected https://HOST',
    );
  });

  test.each([
    [
      "---\nsubject: a: b\npreheader: 'it''s'\n---\nbody\n",
      { subject: "a: b", preheader: "it's", body: "body\n", bodyLine: 5 },
    ],
    ['\uFEFF---\r\nsubject: "say \\"hi\\""\r\n---\r\nbody', { subject: 'say "hi"', body: "body", bodyLine: 4 }],
    ["---\n---\nbody", { body: "body", bodyLine: 3 }],
    ["body\n---\nmore", { body: "body\n---\nmore", bodyLine: 1 }],
  ])("front matter of %j", (source, expected) => {
    expect(readFrontMatter(source)).toEqual(expected);
  });
});
