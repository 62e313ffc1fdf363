import PostalMime from "postal-mime";
import { expect, test } from "vitest";
import { createMailComposer } from "../../src/adapters/email/compose.js";
import { createSlackMessages } from "../../src/adapters/slack/messages.js";
import { TextFault } from "../../src/ports/composer.js";
import { readLiquid } from "../../src/playbook/liquid.js";
import { CARD } from "../adapters/slack/samples.js";
import { randomFrom, seedOr } from "./random.js";

// S6: what customers are called and say is text wherever it is shown.

const SEED = seedOr(20_260_302);
const VALUES = 200;

const BASES = [
  "<script>alert(1)</script>",
  '<img src=x onerror="alert(1)">',
  "<svg/onload=alert(1)>",
  "</title><script>1</script>",
  "--></style><b>",
  '"><a href="https://evil.example">x</a>',
  "<a href='javascript:alert(1)'>x</a>",
  "[click](https://evil.example)",
  "![x](https://evil.example/p.png)",
  "<https://evil.example>",
  "https://evil.example/path?q=1",
  "www.evil.example",
  "mailto:x@evil.example",
  "[x]: https://evil.example\n[x]",
  "**bold** _it_ `code` ~~s~~",
  "# heading\n- item\n1. one\n> quote",
  "a\r\nBcc: victim@evil.example\r\n\r\nbody",
  "a\nSubject: other",
  "a\u0085Bcc: x@evil.example",
  "a\u2028Bcc: x@evil.example",
  "=?utf-8?B?PHNjcmlwdD4=?=",
  "=?utf-8?Q?=0D=0ABcc:_x@evil.example?=",
  '"Name" <x@evil.example>',
  "x@evil.example, y@evil.example",
  'a;b,c:d<e>f"g\\',
  "@here",
  "@channel",
  "<!channel>",
  "<!here|here>",
  "<!everyone>",
  "<@U123>",
  "<#C123|general>",
  "<!subteam^S1>",
  "<!date^1392734382^{date}^https://evil.example|x>",
  "<https://evil.example|safe>",
  "*bold* _it_ ~s~ `c` ```c```",
  ":skull: &lt;!channel&gt;",
  "&lt;script&gt;",
  "&#60;script&#62;",
  "{{ secret }}",
  "{% assign x = 1 %}{{ x }}",
  "{{ 'x' | append: 'y' }}",
  "{%- raw -%}{{ secret }}",
  "}} {{ secret }} {{",
  "\u202Egnp.exe",
  "\u2066\u2067x\u2069",
  "\u200b\u200c\u200d\ufeffx",
  "a\u0000b\u0007c\u001b[31m",
  "\ud800x",
  "x".repeat(10_000),
];
const WRAPS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => ` ${text} `,
  (text) => `Ann ${text} Lee`,
  (text) => `${text}\n${text}`,
  (text) => `"${text}"`,
  (text) => `\\${text}`,
  (text) => `[${text}](${text})`,
  (text) => `<${text}>`,
];

const composer = createMailComposer({
  domain: "mail.waypost.example",
  publicUrl: "https://waypost.example",
});

const COMPANY = {
  name: "Waypost",
  postalAddress: "12 Harbour Street",
  supportEmail: "support@waypost.example",
  categoryTitles: { onboarding: { en: "Getting started" } },
};

const SOURCE = `---
subject: "Hi {{ x }}"
preheader: "{{ x }} again"
---
Dear {{ x }},

{{ x }}

> {{ x | upcase }}

- {{ x }}

# About {{ x }}

**{{ x }}** and [our page](https://waypost.example/page) for {{ x | truncate: 80 }}{% if x contains "secret" %}.{% endif %}
`;

const SECRET = "SECRETVALUE";

test(`${VALUES} hostile values in mails: nothing becomes markup, a link, a header or a recipient; nothing is evaluated`, async () => {
  const random = randomFrom(SEED);
  const values = hostileValues(random.pick, random.chance);
  // The same mail with a value that means nothing: every tag, link and header of the others must be one of these.
  const plain = await mail("Plain");
  const tagsOf = (html: string): string[] =>
    [...html.matchAll(/<(\/?[a-z][a-z0-9]*)/gi)].map(([, tag]) => (tag ?? "").toLowerCase());
  const linksOf = (html: string): string[] =>
    [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link ?? "");
  const headersOf = (raw: string): string[] =>
    (raw.split("\r\n\r\n", 1)[0] ?? "").split("\r\n").flatMap((line) => /^([\w-]+):/.exec(line)?.[1] ?? []);
  const odd: string[] = [];
  for (const value of values) {
    const made = await mail(value);
    const told = (what: string): void => void odd.push(`${what}: ${JSON.stringify(value.slice(0, 80))}`);
    if (JSON.stringify(tagsOf(made.html)) !== JSON.stringify(tagsOf(plain.html))) told("tags");
    if (JSON.stringify(linksOf(made.html)) !== JSON.stringify(linksOf(plain.html))) told("links");
    if (/<[a-z][^>]*\son[a-z]+\s*=/i.test(made.html)) told("an event handler");
    if (JSON.stringify(headersOf(made.raw)) !== JSON.stringify(headersOf(plain.raw)))
      told(`headers ${headersOf(made.raw).join()}`);
    if (/[\u202A-\u202E\u2066-\u2069\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(made.subject + made.html + made.text))
      told("controls");
    if (made.html.includes(SECRET) || made.text.includes(SECRET) || made.subject.includes(SECRET)) told("evaluated");
    if (made.envelope !== "a@waypost.example→b@customer.example") told(`envelope ${made.envelope}`);
    if (made.to !== "b@customer.example") told(`to ${made.to}`);
    if (made.subject.trim() === "Hi") told("a blank");
  }
  console.log(
    `${values.length} hostile values, seed ${SEED}, each nine times in a mail: executed or injected ${odd.length}`,
  );
  expect(values.length).toBe(VALUES);
  expect(odd.slice(0, 10)).toEqual([]);
});

async function mail(value: string) {
  const message = await composer.mail({
    deliveryId: "3f2c8f0e-7a63-5d0c-9d3e-6b1c9f1e2a10",
    template: { name: "welcome", locale: "en", source: SOURCE },
    variables: { x: value, secret: SECRET },
    timezone: "Europe/Warsaw",
    from: { name: value, address: "a@waypost.example" },
    to: { name: value, address: "b@customer.example" },
    category: "onboarding",
    unsubscribeToken: "tok_en-1",
    at: Date.UTC(2026, 2, 2, 9, 0),
    company: COMPANY,
  });
  const email = await PostalMime.parse(message.raw);
  return {
    raw: message.raw,
    html: email.html ?? "",
    text: email.text ?? "",
    subject: email.subject ?? "",
    to: (email.to ?? []).map(({ address }) => address).join(),
    envelope: `${message.envelope.from}→${message.envelope.to}`,
  };
}

function hostileValues(pick: <T>(from: readonly T[]) => T, chance: (probability: number) => boolean): string[] {
  const values = new Set<string>(BASES);
  while (values.size < VALUES) values.add(pick(WRAPS)(chance(0.3) ? `${pick(BASES)} ${pick(BASES)}` : pick(BASES)));
  return [...values];
}

test(`${VALUES} hostile values in Slack: no mention, no link, no channel, in any text with markup`, async () => {
  const random = randomFrom(SEED);
  const values = hostileValues(random.pick, random.chance);
  const messages = createSlackMessages();
  const odd: string[] = [];
  for (const value of values) {
    const text = await composer.text(
      "Call {{ x }} {{ x }}",
      { x: value },
      { markup: "mrkdwn", locale: "en", timezone: "UTC" },
    );
    const card = {
      ...CARD,
      title: value,
      text,
      account: { ...CARD.account, name: value },
      why: value,
    } as typeof CARD;
    const nudge = {
      deliveryId: "n",
      text,
      actions: ["ack"],
      account: { id: "a", name: value },
      playbook: value,
      run: "r",
      step: "s",
    } as Parameters<typeof messages.nudge>[0];
    for (const body of [messages.task(card), messages.nudge(nudge)]) {
      for (const mrkdwn of [body.text, ...mrkdwnOf(body.blocks)]) {
        // Slack's control sequences all begin with "<"; our own are of these forms.
        const sequences = [...mrkdwn.matchAll(/<([^>]*)>?/g)]
          .map(([all]) => all)
          .filter((one) => !/^<@U\w+>$|^<!date\^\d+\^/.test(one) || value.includes(one));
        if (sequences.length > 0) odd.push(`${sequences[0]} of ${JSON.stringify(value.slice(0, 60))}`);
      }
    }
  }
  console.log(`${values.length} hostile values in cards and nudges: mentions, links or channels ${odd.length}`);
  expect(odd.slice(0, 10)).toEqual([]);
});

/** The texts in which Slack reads markup; in plain_text it reads none but emoji names. */
function mrkdwnOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { type, text } = value as { type?: unknown; text?: unknown };
  if (type === "mrkdwn" && typeof text === "string") return [text];
  return Object.values(value).flatMap(mrkdwnOf);
}

const REACHING = [
  "{{ account.__proto__ }}",
  "{{ account.__proto__.polluted }}",
  "{{ account.constructor }}",
  "{{ account.constructor.constructor }}",
  "{{ x.constructor }}",
  "{{ x.__proto__ }}",
  "{{ x.toString }}",
  "{{ toString }}",
  "{{ constructor }}",
  "{{ __proto__ }}",
  "{{ hasOwnProperty }}",
  "{{ process }}",
  "{{ process.env }}",
  "{{ globalThis }}",
  "{{ this }}",
  '{{ account["__proto__"] }}',
  '{{ account["constructor"] }}',
  "{{ account[x] }}",
];

test("a template reaches nothing but its variables", async () => {
  const odd: string[] = [];
  for (const source of REACHING) {
    for (const guard of [
      source,
      source.replace(" }}", " | default: 'nothing' }}"),
      `{% if 1 == 1 %}${source}{% endif %}`,
    ]) {
      const style = { markup: "plain", locale: "en", timezone: "UTC" } as const;
      const given = await composer
        .text(guard, { "account.name": "Acme", x: "constructor" }, style)
        .catch((error: unknown) => error);
      const isRefused = given instanceof TextFault;
      if (!isRefused && given !== "nothing" && given !== "") odd.push(`${guard} gives ${String(given).slice(0, 80)}`);
    }
  }
  expect(odd).toEqual([]);
});

const COSTLY: Readonly<Record<string, string>> = {
  "loops in loops":
    "{% for a in (1..1000) %}{% for b in (1..1000) %}{% for c in (1..1000) %}x{% endfor %}{% endfor %}{% endfor %}",
  "a range without end": "{% for a in (1..999999999999) %}x{% endfor %}",
  "a text that doubles": `{% assign a = "xxxxxxxxxxxxxxxx" %}${"{% assign a = a | append: a %}".repeat(40)}{{ a }}`,
  "a text that is replaced by itself": `{% assign a = "xxxxxxxx" %}${'{% assign a = a | replace: "x", a %}'.repeat(8)}{{ a }}`,
  "a split of a split": `{% assign a = "x" %}${"{% assign a = a | append: a | append: a | append: a %}".repeat(20)}{{ a | split: "" | join: a }}`,
  "a hundred thousand filters": `{{ x ${"| upcase ".repeat(11_000)} }}`,
  "ifs in ifs": `${"{% if x %}".repeat(3_000)}x${"{% endif %}".repeat(3_000)}`,
  "brackets that open": "{{".repeat(40_000),
  "tags that open": "{%".repeat(40_000),
  "quotation marks": `{{ "${"'".repeat(90_000)}`,
};

test("a costly template is refused or cut off: by the checker, and should one get through, when it is filled in", async () => {
  const figures: string[] = [];
  const odd: string[] = [];
  for (const [name, source] of Object.entries(COSTLY)) {
    const heap = process.memoryUsage().heapUsed;
    const checking = performance.now();
    const isRefused = readLiquid(source).problems.length > 0;
    const checkedMs = performance.now() - checking;
    const began = performance.now();
    const given = await composer
      .text(source, { x: "Acme" }, { markup: "plain", locale: "en", timezone: "UTC" })
      .catch((error: unknown) => error);
    const ms = performance.now() - began;
    const grownMb = (process.memoryUsage().heapUsed - heap) / 2 ** 20;
    const isFault = given instanceof TextFault;
    figures.push(
      `${name} ${checkedMs.toFixed(0)}/${ms.toFixed(0)} ms${isRefused ? " refused" : ""}${isFault ? " cut off" : ""}`,
    );
    if (!isFault && typeof given !== "string") odd.push(`${name}: ${String(given)}`);
    if (!isRefused && !isFault && String(given).length > 100_000)
      odd.push(`${name} gives ${String(given).length} characters`);
    if (checkedMs > 5_000 || ms > 10_000) odd.push(`${name} takes ${checkedMs.toFixed(0)} and ${ms.toFixed(0)} ms`);
    if (grownMb > 400) odd.push(`${name} takes ${grownMb.toFixed(0)} MB`);
  }
  console.log(`costly templates, checked/filled in: ${figures.join("; ")}`);
  expect(odd).toEqual([]);
}, 60_000);
