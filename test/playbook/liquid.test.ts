import { describe, expect, it } from "vitest";
import { checkUses, readLiquid, type TextScope } from "../../src/playbook/liquid.js";
import { readTemplate, templateParts } from "../../src/playbook/templates.js";

const uses = (source: string) =>
  readLiquid(source).uses.map(({ path, isGuarded, filters }) => [
    path,
    isGuarded,
    filters?.map(({ name }) => name).join("|"),
  ]);
const problems = (source: string) =>
  readLiquid(source).problems.map(({ problem, offset }) => `${offset} ${problem.code} ${problem.message}`);

describe("a text's variables", () => {
  it.each([
    ["{{ a.b }}", [["a.b", false, ""]]],
    [
      "{{- a.b -}} {{a}}",
      [
        ["a.b", false, ""],
        ["a", false, ""],
      ],
    ],
    ["{{ a.b | default: 'x' | upcase }}", [["a.b", true, "default|upcase"]]],
    [
      "{{ a.b | default: c.d }}",
      [
        ["c.d", false, undefined],
        ["a.b", true, "default"],
      ],
    ],
    [
      "{{ a | replace: 'x', b }}",
      [
        ["b", false, undefined],
        ["a", false, "replace"],
      ],
    ],
    ["{{ 'text' }} {{ 12.5 }} {{ true }}", []],
    [
      "{% if a %}{{ a }}{% endif %}{{ a }}",
      [
        ["a", true, undefined],
        ["a", true, ""],
        ["a", false, ""],
      ],
    ],
    [
      "{% if a and b > 3 %}{{ a }}{{ b }}{% endif %}",
      [
        ["a", true, undefined],
        ["b", true, undefined],
        ["a", true, ""],
        ["b", true, ""],
      ],
    ],
    [
      "{% if a or b %}{{ a }}{% endif %}",
      [
        ["a", true, undefined],
        ["b", true, undefined],
        ["a", false, ""],
      ],
    ],
    [
      "{% if a != b %}{{ a }}{% endif %}",
      [
        ["a", true, undefined],
        ["b", true, undefined],
        ["a", false, ""],
      ],
    ],
    [
      "{% if a %}{% elsif b contains 'x' %}{{ b }}{% else %}{{ a }}{% endif %}",
      [
        ["a", true, undefined],
        ["b", true, undefined],
        ["b", true, ""],
        ["a", false, ""],
      ],
    ],
    [
      "{% if a == nil and b == c and d < 3 %}{{ a }}{{ b }}{{ d }}{% endif %}",
      [
        ["a", true, undefined],
        ["b", true, undefined],
        ["c", true, undefined],
        ["d", true, undefined],
        ["a", false, ""],
        ["b", false, ""],
        ["d", true, ""],
      ],
    ],
    ["{{ a | plus: 1 | default: 0 }}", [["a", false, "plus|default"]]],
    [
      "{% unless a %}{{ a }}{% endunless %}",
      [
        ["a", true, undefined],
        ["a", false, ""],
      ],
    ],
    ["{% comment %}{{ a }} {% if %} {% endcomment %}{{ b }}", [["b", false, ""]]],
  ])("%s", (source, expected) => {
    expect(uses(source)).toEqual(expected);
  });
});

describe("a text that can't be read", () => {
  it.each([
    ["{{ a", ['0 WP404 "{{" is never closed.']],
    ["x {% if a", ['2 WP404 "{%" is never closed.']],
    ["{% if a %}", ["2 WP404 {% if %} is never closed."]],
    ["{% if a %}{% else %}{% else %}{% endif %}", ["22 WP404 {% else %} stands outside of an {% if %}."]],
    ["{% unless a %}{% endif %}", ["16 WP404 {% endif %} closes nothing.", "2 WP404 {% unless %} is never closed."]],
    ["{% %}", ['2 WP408 The tag "" can\'t be used.']],
    ["{% if a b %}{% endif %}", ['8 WP404 "b" can\'t stand here.']],
    ["{{ a | default: }}", ["15 WP404 Something is missing here."]],
    ["{{ a | }}", ['6 WP409 There is no filter "".']],
    ["{{ a | append }}", ['7 WP412 "append" wants one value behind a colon.']],
    ["{{ a | upcase: 1 }}", ['7 WP412 "upcase" takes nothing behind it.']],
    ["{{ a | money: 'euro' }}", ["7 WP412 \"money\" can't be given 'euro'."]],
    ["{{ a | number: 500 }}", ['7 WP412 "number" can\'t be given 500.']],
    ["{{ a | divided_by: b }}", ['7 WP412 "divided_by" can\'t be given b.']],
    ["{{ nil }} {{ 5 | money }}", ['3 WP404 "nil" can\'t stand here.', '17 WP404 "money" needs a variable before it.']],
    ["{{ a['b'] }}", ["4 WP404 \"['b']\" can't stand here."]],
  ])("%s", (source, expected) => {
    expect(problems(source)).toEqual(expected);
  });
});

describe("where a text is used", () => {
  const scope: TextScope = {
    facts: { "account.name": "string", "account.arr": "number", "account.end": "timestamp", "account.ok": "bool" },
    always: new Set(["account.name", "account.end", "account.ok", "account.arr"]),
    open: ["steps.lost"],
    hasCurrency: true,
  };
  it.each([
    ["{{ account.name | upcase }} {{ account.arr | money }} {{ account.end | date_long }} {{ steps.lost.any }}", []],
    ["{{ account.end }}", ["WP410"]],
    ["{{ account.ok | number }}", ["WP410"]],
    ["{{ account.arr | upcase }}", ["WP410"]],
    ["{{ account.nothing }}", ["WP405"]],
    ["{{ account.arr | default: 'unknown' | money }}", []],
    ["{{ account.arr | default: 'unknown' | plus: 1 }}", ["WP410"]],
    ["{{ account.arr | plus: account.name }}", ["WP412"]],
    ["{{ account.name | append: account.end }}", ["WP412"]],
    ["{{ account.name | default: account.end }}", ["WP410"]],
    ["{% if account.end %}x{% endif %}", []],
  ])("%s", (source, codes) => {
    expect(checkUses(readLiquid(source).uses, scope).map(({ problem }) => problem.code)).toEqual(codes);
  });
});

describe("money", () => {
  const scope: TextScope = {
    facts: { "account.arr": "number" },
    always: new Set(["account.arr"]),
    open: [],
    hasCurrency: false,
  };
  it.each([
    ["{{ account.arr | money }}", ["WP413"]],
    ['{{ account.arr | money: "EUR" }}', []],
    ["{{ account.arr | number }}", []],
  ])("where the house has no currency: %s", (source, codes) => {
    expect(checkUses(readLiquid(source).uses, scope).map(({ problem }) => problem.code)).toEqual(codes);
  });
});

describe("a template's parts", () => {
  it("are the front matter and the text", () => {
    const source = "---\r\nsubject: 'Hi {{ a.b }}'\r\npreheader: Look\r\n---\r\nText\n";
    expect(templateParts(source)).toEqual({ subject: "Hi {{ a.b }}", preheader: "Look", body: "Text\n" });
    expect(templateParts("---\nsubject: Hi\n---\nText")).toEqual({ subject: "Hi", body: "Text" });
    expect(templateParts("Text")).toBeUndefined();
  });

  it("have their places in the file", () => {
    const { uses, name, locale, diagnostics } = readTemplate(
      "x/templates/a-b.pl.md",
      '---\nsubject: "Hi {{ a.b }}"\n---\n{{ c.d }}',
    );
    expect([name, locale, diagnostics, uses.map(({ path, offset }) => [path, offset])]).toEqual([
      "a-b",
      "pl",
      [],
      [
        ["a.b", 20],
        ["c.d", 35],
      ],
    ]);
  });

  it("must be named and kept short", () => {
    const told = (path: string, source: string) => readTemplate(path, source).diagnostics.map(({ message }) => message);
    expect(told("x/templates/welcome.md", "---\nsubject: Hi\n---\nText")).toEqual([
      "The file isn't named NAME.LOCALE.md.",
    ]);
    expect(told("x/templates/a.en.md", `---\nsubject: ${"x".repeat(201)}\n---\nText`)).toEqual([
      '"subject" is longer than 200 characters.',
    ]);
  });
});
