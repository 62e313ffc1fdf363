import { describe, expect, test } from "vitest";
import type { FactType } from "../../src/expression/expression.js";
import { randomNumbers } from "./random-expressions.js";
import { checkExpression, type ExpressionEnvironment } from "../../src/playbook/check-expression.js";

const environment: ExpressionEnvironment = {
  facts: {
    "account.touch_model": "string",
    "account.name": "string",
    "account.is_test": "bool",
    "account.tags": { list: "string" },
    "account.created_at": "timestamp",
    "contract.renewal_date": "timestamp",
    "usage.key_actions_7d": "number",
    "run.inputs.reason": "string",
    "run.started_at": "timestamp",
    "steps.kickoff.timed_out": "bool",
    "event.kind": "string",
    now: "timestamp",
  },
  open: ["event.payload"],
  always: ["account.is_test"],
};

describe("accepted", () => {
  test("the language's own examples, as trees", () => {
    expect(checkExpression('account.touch_model == "high" && account.is_test == false', environment, "bool")).toEqual({
      ok: true,
      type: "bool",
      references: ["account.is_test", "account.touch_model"],
      expression: {
        op: "and",
        of: [
          {
            op: "==",
            left: { op: "fact", path: "account.touch_model" },
            right: { op: "literal", value: "high" },
          },
          {
            op: "==",
            left: { op: "fact", path: "account.is_test" },
            right: { op: "literal", value: false },
          },
        ],
      },
    });
    expect(checkExpression("usage.key_actions_7d >= 10", environment)).toEqual({
      ok: true,
      type: "bool",
      references: ["usage.key_actions_7d"],
      expression: {
        op: ">=",
        left: { op: "fact", path: "usage.key_actions_7d" },
        right: { op: "literal", value: 10 },
      },
    });
  });

  test.each<[string, FactType]>([
    ["usage.key_actions_7d * 2 > 0.5", "bool"],
    ["now - account.created_at", "duration"],
    ["account.created_at + duration('30d')", "timestamp"],
    ["duration('1h') + now", "timestamp"],
    ["duration('1h') - duration('5m')", "duration"],
    ["-duration('1h')", "duration"],
    ["account.name + '!'", "string"],
    ["account.tags", { list: "string" }],
    ["size(account.tags) + account.name.size()", "number"],
    ["[now, account.created_at]", { list: "timestamp" }],
    ["account.is_test ? 1 : 2.5", "number"],
    ["'a' in account.tags || \"b\" in ['c']", "bool"],
    ["has(event.payload.anything) && event.payload.anything == 3", "bool"],
    ["event.payload.anything + 1", "number"],
    ["now - event.payload.at > duration('1d') || true", "bool"],
    ["event.payload.a in event.payload.b && event.payload.c", "bool"],
    ["account.is_test ? event.payload.a : 'b'", "string"],
    ["account.is_test ? 'b' : event.payload.a", "string"],
    ["-event.payload.a > 1 && event.payload.b.contains('x') && size(event.payload.c) > 1", "bool"],
    ["event.payload.a < event.payload.b", "bool"],
    ["!account.is_test", "bool"],
    ["(((now)))", "timestamp"],
    ["true // a remark", "bool"],
    ["0x10 == 16", "bool"],
  ])("%s is of type %j", (text, type) => {
    expect(checkExpression(text, environment)).toMatchObject({ ok: true, type });
  });

  test("an undeclared fact has the type that its place asks for", () => {
    expect(checkExpression("event.payload.kind", environment, "string")).toMatchObject({ ok: true, type: "string" });
  });

  test("a minus before a number is part of it, also before 0", () => {
    expect(checkExpression("-3", environment)).toMatchObject({ expression: { op: "literal", value: -3 } });
    expect(checkExpression("-0", environment)).toMatchObject({ expression: { op: "literal", value: 0 } });
  });

  test("a chain of && is one conjunction, whatever its brackets", () => {
    const flag = { op: "fact", path: "account.is_test" };
    expect(checkExpression("(account.is_test && account.is_test) && account.is_test", environment)).toMatchObject({
      expression: { op: "and", of: [flag, flag, flag] },
    });
  });
});

/** A problem as an author sees it: the words it points at, what is wrong, what to write instead. */
function problemsOf(text: string, expected?: FactType): string[] {
  const checked = checkExpression(text, environment, expected);
  if (checked.ok) return [];
  return checked.problems.map(({ code, message, offset, length, suggestion }) => {
    const fix = suggestion === undefined ? "" : ` => ${suggestion}`;
    return `${code.replace("expression-", "")} [${text.slice(offset, offset + length)}] ${message}${fix}`;
  });
}

describe("refused, with a sentence that says what to do", () => {
  test.each<[string, string[]]>([
    [
      'account.touch_modle == "x"',
      [
        "unknown-fact [account.touch_modle] There is no fact account.touch_modle. Did you mean account.touch_model? => account.touch_model",
      ],
    ],
    [
      'touch_model == "x"',
      [
        "unknown-fact [touch_model] There is no fact touch_model. Did you mean account.touch_model? => account.touch_model",
      ],
    ],
    [
      'account == "x"',
      [
        "unknown-fact [account] account is a group of facts; name one of them: account.created_at, account.is_test, account.name, ….",
      ],
    ],
    [
      'event.kind.name == "x"',
      ["unknown-fact [event.kind.name] event.kind is a text and has no fields. => event.kind"],
    ],
    [
      "zzz",
      ["unknown-fact [zzz] There is no fact zzz. Facts are declared in model.yaml; a text needs quotation marks."],
    ],
    ["True", ["unknown-fact [True] There is no fact True. Did you mean true? => true"]],
    [
      "high == account.touch_model",
      ["unknown-fact [high] There is no fact high. Facts are declared in model.yaml; a text needs quotation marks."],
    ],
    [
      "account.is_tst",
      [
        "unknown-fact [account.is_tst] There is no fact account.is_tst. Did you mean account.is_test? => account.is_test",
      ],
    ],
    [
      "has(account)",
      [
        "unknown-fact [account] account is a group of facts; name one of them: account.created_at, account.is_test, account.name, ….",
      ],
    ],
    [
      "has(account.nme)",
      ["unknown-fact [account.nme] There is no fact account.nme. Did you mean account.name? => account.name"],
    ],
    ["has(3)", ["wrong-type [has(3)] has() takes exactly one fact, such as has(account.renewed_at)."]],
    [
      "has(account.name, now)",
      ["wrong-type [has(account.name, now)] has() takes exactly one fact, such as has(account.renewed_at)."],
    ],
    [
      "account.name == 3",
      [
        'wrong-type [account.name == 3] "==" compares two of one type; account.name is a text and 3 is a number. A number is written without quotation marks.',
      ],
    ],
    [
      'account.is_test == "true"',
      [
        'wrong-type [account.is_test == "true"] "==" compares two of one type; account.is_test is true or false and "true" is a text. true and false are written without quotation marks.',
      ],
    ],
    [
      'contract.renewal_date < "2026-01-01"',
      [
        'wrong-type [contract.renewal_date < "2026-01-01"] "<" compares two of one type; contract.renewal_date is a timestamp and "2026-01-01" is a text. Write the instant as timestamp("2026-03-02T09:00:00Z").',
      ],
    ],
    [
      "now > 3",
      [
        'wrong-type [now > 3] ">" compares two of one type; now is a timestamp and 3 is a number. Write a span of time as duration("36h").',
      ],
    ],
    [
      "now - account.created_at > 30",
      [
        'wrong-type [now - account.created_at > 30] ">" compares two of one type; now - account.created_at is a duration and 30 is a number. Write the span as duration("36h").',
      ],
    ],
    [
      'duration("1h") == "1h"',
      [
        'wrong-type [duration("1h") == "1h"] "==" compares two of one type; duration("1h") is a duration and "1h" is a text. Write the span as duration("36h").',
      ],
    ],
    [
      "account.is_test > true",
      [
        'wrong-type [account.is_test > true] ">" needs numbers, texts, timestamps or durations; account.is_test is true or false.',
      ],
    ],
    [
      "account.tags < account.tags",
      [
        'wrong-type [account.tags < account.tags] "<" needs numbers, texts, timestamps or durations; account.tags is a list of texts.',
      ],
    ],
    [
      "account.tags == account.name",
      [
        'wrong-type [account.tags == account.name] "==" compares two of one type; account.tags is a list of texts and account.name is a text.',
      ],
    ],
    [
      "account.name && true",
      ["wrong-type [account.name] account.name is a text where a condition is needed; compare it with something."],
    ],
    [
      "!account.name",
      ["wrong-type [account.name] account.name is a text where a condition is needed; compare it with something."],
    ],
    [
      '-account.name == "x"',
      ['wrong-type [-account.name] "-" needs a number or a duration, and account.name is a text.'],
    ],
    ["now + now < now", ['wrong-type [now + now] "+" can\'t take a timestamp (now) and a timestamp (now).']],
    [
      "account.name - 1 > 2",
      [
        'wrong-type [account.name - 1] "-" can\'t take a text (account.name) and a number (1). A number is written without quotation marks.',
      ],
    ],
    [
      "3 in account.tags",
      ['wrong-type [3 in account.tags] "in" can\'t find a number (3) in a list of texts (account.tags).'],
    ],
    [
      '"a" in account.name',
      [
        'wrong-type ["a" in account.name] "in" looks into a list, and account.name is a text; write ["…", "…"], or contains() for a part of a text.',
      ],
    ],
    ['[1, "a"] == [1]', ['wrong-type ["a"] A list holds values of one simple type; "a" is a text.']],
    [
      "[[1]] == [[1]]",
      [
        "wrong-type [[1]] A list holds values of one simple type; [1] is a list of numbers.",
        "wrong-type [[1]] A list holds values of one simple type; [1] is a list of numbers.",
      ],
    ],
    [
      "1 in [event.payload.n]",
      ["wrong-type [event.payload.n] A list holds values of one simple type; event.payload.n is of no declared type."],
    ],
    [
      'account.is_test ? 1 : "a"',
      [
        'wrong-type [account.is_test ? 1 : "a"] Both sides of ":" must be of one type; 1 is a number and "a" is a text.',
      ],
    ],
    [
      "account.name ? true : false",
      ["wrong-type [account.name] account.name is a text where a condition is needed; compare it with something."],
    ],
    ["account.name", ["wrong-type [account.name] True or false is needed here, and account.name is a text."]],
    ["size(3) > 1", ["wrong-type [size(3)] size() needs a text or a list, and 3 is a number."]],
    ["size() > 1", ["wrong-type [size()] size() takes exactly one text or list."]],
    ["account.name.contains(3)", ["wrong-type [account.name.contains(3)] contains() needs texts, and 3 is a number."]],
    [
      "account.name.contains()",
      ['wrong-type [account.name.contains()] contains() takes exactly one text: name.contains("…").'],
    ],
    [
      'account.tags.contains("a")',
      [
        'wrong-type [account.tags.contains("a")] contains() needs texts, and account.tags is a list of texts. For a list write: "value" in list.',
      ],
    ],
    [
      'account.name.matches("a")',
      [
        'not-allowed [account.name.matches("a")] Regular expressions can\'t be used: one bad pattern could hold up every run. Use contains(), startsWith() or endsWith().',
      ],
    ],
    [
      'account.tags.exists(t, t == "a")',
      [
        'not-allowed [account.tags.exists(t, t == "a")] exists() goes through a list, which expressions can\'t do. Ask with "value" in list, or declare a metric in model.yaml.',
      ],
    ],
    [
      'account.tags.all(t, t == "a")',
      [
        'not-allowed [account.tags.all(t, t == "a")] all() goes through a list, which expressions can\'t do. Ask with "value" in list, or declare a metric in model.yaml.',
      ],
    ],
    [
      "account.tags.map(t, t) == account.tags",
      [
        'not-allowed [account.tags.map(t, t)] map() goes through a list, which expressions can\'t do. Ask with "value" in list, or declare a metric in model.yaml.',
      ],
    ],
    [
      "cel.bind(a, 1, a > 0)",
      [
        "not-allowed [cel.bind(a, 1, a > 0)] There is no function bind(). There are has, size, contains, startsWith, endsWith, timestamp and duration.",
      ],
    ],
    [
      "foo(1)",
      [
        "not-allowed [foo(1)] There is no function foo(). There are has, size, contains, startsWith, endsWith, timestamp and duration.",
      ],
    ],
    [
      "account.name.foo()",
      [
        "not-allowed [account.name.foo()] There is no function foo(). There are has, size, contains, startsWith, endsWith, timestamp and duration.",
      ],
    ],
    [
      'account.tags[0] == "a"',
      [
        'not-allowed [account.tags[0]] account.tags[0] picks one element; ask whether a list holds a value with: "value" in list.',
      ],
    ],
    [
      '{"a": 1}.a == 1',
      ['not-allowed [{"a": 1}.a] {"a": 1}.a isn\'t a fact; facts are names with dots, such as account.name.'],
    ],
    [
      "foo(1).bar",
      ["not-allowed [foo(1).bar] foo(1).bar isn't a fact; facts are names with dots, such as account.name."],
    ],
    [
      "account.name == null",
      ["not-allowed [null] There is no null here: a fact is present or missing. Ask with has(…) or !has(…)."],
    ],
    [
      "5u == 5",
      ['not-allowed [5u] 5u isn\'t a number, text, true or false; write a number without "u" and a text without "b".'],
    ],
    [
      'b"x" == b"x"',
      [
        'not-allowed [b"x"] b"x" isn\'t a number, text, true or false; write a number without "u" and a text without "b".',
        'not-allowed [b"x"] b"x" isn\'t a number, text, true or false; write a number without "u" and a text without "b".',
      ],
    ],
    [
      "account.tags == []",
      ["not-allowed [[]] An empty list [] holds nothing to compare; ask size(list) == 0 instead."],
    ],
    ["1e200 > 1", ["bad-literal [1e200] 1e200 is out of range; numbers go from 1e-100 to 1e+100."]],
    ["1e-200 > 1", ["bad-literal [1e-200] 1e-200 is out of range; numbers go from 1e-100 to 1e+100."]],
    [
      "99999999999999999999 > 1",
      [
        "bad-literal [99999999999999999999] 99999999999999999999 is too large a number; at most 9007199254740991 is exact.",
      ],
    ],
    [
      '"\\u0000" == account.name',
      ['bad-literal ["\\u0000"] A text can\'t contain the character NUL; no fact ever does.'],
    ],
    [
      'timestamp("2026-02-30T00:00:00Z") < now',
      [
        'bad-literal ["2026-02-30T00:00:00Z"] "2026-02-30T00:00:00Z" isn\'t a timestamp; write the date, the time and the zone: timestamp("2026-03-02T09:00:00Z").',
      ],
    ],
    [
      'timestamp("2026-02-28") < now',
      [
        'bad-literal ["2026-02-28"] "2026-02-28" isn\'t a timestamp; write the date, the time and the zone: timestamp("2026-03-02T09:00:00Z").',
      ],
    ],
    [
      'timestamp("2026-02-28T00:00:00+99:99") < now',
      [
        'bad-literal ["2026-02-28T00:00:00+99:99"] "2026-02-28T00:00:00+99:99" isn\'t a timestamp; write the date, the time and the zone: timestamp("2026-03-02T09:00:00Z").',
      ],
    ],
    [
      'timestamp("9999-13-28T00:00:00Z") < now',
      [
        'bad-literal ["9999-13-28T00:00:00Z"] "9999-13-28T00:00:00Z" isn\'t a timestamp; write the date, the time and the zone: timestamp("2026-03-02T09:00:00Z").',
      ],
    ],
    [
      "timestamp(account.name) < now",
      [
        'wrong-type [timestamp(account.name)] timestamp() takes one written text, such as timestamp("2026-03-02T09:00:00Z"); a fact is declared as a timestamp in model.yaml.',
      ],
    ],
    [
      "timestamp() < now",
      [
        'wrong-type [timestamp()] timestamp() takes one written text, such as timestamp("2026-03-02T09:00:00Z"); a fact is declared as a timestamp in model.yaml.',
      ],
    ],
    [
      'duration("3 bd") > duration("1d")',
      [
        'bad-literal ["3 bd"] "3 bd" isn\'t a duration; write amounts of d (24 hours), h, m, s or ms: duration("36h") or duration("1h30m"); working days and months depend on a calendar and can\'t be used here.',
      ],
    ],
    [
      'duration(3) > duration("1d")',
      [
        'wrong-type [duration(3)] duration() takes one written text, such as duration("36h"); a fact is declared as a duration in model.yaml.',
      ],
    ],
    ["account.is_test and true", ['syntax [and] "and" is written && here. => &&']],
    ["account.is_test OR true", ['syntax [OR] "OR" is written || here. => ||']],
    ["not account.is_test", ['syntax [not] "not" is written ! here. => !']],
    ['account.name is "x"', ['syntax [is] "is" is written == here. => ==']],
    ['account.name = "x"', ['syntax [=] One "=" means nothing here; compare with ==. => ==']],
    ['account.name == "x', ['syntax ["x] This text has no closing quotation mark.']],
    ["account.is_test & true", ["syntax [&] Write && instead of a single &. => &&"]],
    ["account.is_test | true", ["syntax [|] Write || instead of a single |. => ||"]],
    ["account.name ==", ["syntax [] The expression ends too early: something is missing here."]],
    ["", ['syntax [] The expression is empty. Write a condition such as account.touch_model == "high".']],
    ["  ", ['syntax [  ] The expression is empty. Write a condition such as account.touch_model == "high".']],
    ['account.name == "a" )', ['syntax [)] ")" can\'t stand here.']],
    ["account.name @ 3", ['syntax [@] "@" can\'t stand here.']],
    ["if", ['syntax [if] "if" can\'t stand here.']],
    ["(account.is_test", ["syntax [] The expression ends too early: something is missing here."]],
    ["account.is_test true", ['syntax [true] "true" can\'t stand here.']],
    [
      "!(usage.key_actions_7d > 3)",
      [
        'missing-guard [!(usage.key_actions_7d > 3)] If usage.key_actions_7d is missing, usage.key_actions_7d > 3 is false, and the "!" makes that true. Ask for it with has(usage.key_actions_7d) && …, or let it count with !has(…) || …. => (has(usage.key_actions_7d) && !(usage.key_actions_7d > 3))',
      ],
    ],
    [
      "!steps.kickoff.timed_out",
      [
        'missing-guard [!steps.kickoff.timed_out] If steps.kickoff.timed_out is missing, it counts as false, and the "!" makes that true. Ask for it with has(steps.kickoff.timed_out) && …, or let it count with !has(…) || …. => (has(steps.kickoff.timed_out) && !steps.kickoff.timed_out)',
      ],
    ],
    [
      'account.is_test && !(account.name == ("a"))',
      [
        'missing-guard [!(account.name == ("a"))] If account.name is missing, account.name == ("a") is false, and the "!" makes that true. Ask for it with has(account.name) && …, or let it count with !has(…) || …. => (has(account.name) && !(account.name == ("a")))',
      ],
    ],
    [
      '!(usage.key_actions_7d > 3 && usage.key_actions_7d < 10 && account.name == ")")',
      [
        'missing-guard [!(usage.key_actions_7d > 3 && usage.key_actions_7d < 10 && account.name == ")")] If usage.key_actions_7d or account.name is missing, usage.key_actions_7d > 3 is false, and the "!" makes that true. Ask for it with has(usage.key_actions_7d) && has(account.name) && …, or let it count with !has(…) || …. => (has(usage.key_actions_7d) && has(account.name) && !(usage.key_actions_7d > 3 && usage.key_actions_7d < 10 && account.name == ")"))',
      ],
    ],
    [
      "(usage.key_actions_7d > 3) == false",
      [
        "missing-guard [(usage.key_actions_7d > 3) == false] If usage.key_actions_7d is missing, usage.key_actions_7d > 3 is false, and (usage.key_actions_7d > 3) == false can come out true for it. Ask for it first with has(usage.key_actions_7d) && ….",
      ],
    ],
    [
      "usage.key_actions_7d > 3 ? false : true",
      [
        "missing-guard [usage.key_actions_7d > 3 ? false : true] If usage.key_actions_7d is missing, usage.key_actions_7d > 3 is false, and usage.key_actions_7d > 3 ? false : true can come out true for it. Ask for it first with has(usage.key_actions_7d) && ….",
      ],
    ],
    [
      '!(usage.key_actions_7d > 3 && account.name == "a")',
      [
        'missing-guard [!(usage.key_actions_7d > 3 && account.name == "a")] If usage.key_actions_7d or account.name is missing, usage.key_actions_7d > 3 is false, and the "!" makes that true. Ask for it with has(usage.key_actions_7d) && has(account.name) && …, or let it count with !has(…) || …. => (has(usage.key_actions_7d) && has(account.name) && !(usage.key_actions_7d > 3 && account.name == "a"))',
      ],
    ],
    [
      "(account.is_test || account.name == 3 ) && true",
      [
        'wrong-type [account.name == 3] "==" compares two of one type; account.name is a text and 3 is a number. A number is written without quotation marks.',
      ],
    ],
    [
      '!(account.name == "a very long text that goes on and on and on beyond sixty characters")',
      [
        'missing-guard [!(account.name == "a very long text that goes on and on and on beyond sixty characters")] If account.name is missing, account.name == "a very long text that goes on and on and… is false, and the "!" makes that true. Ask for it with has(account.name) && …, or let it count with !has(…) || …. => (has(account.name) && !(account.name == "a very long text that goes on and on and on beyond sixty characters"))',
      ],
    ],
    [
      'account.naem == "x"',
      ["unknown-fact [account.naem] There is no fact account.naem. Did you mean account.name? => account.name"],
    ],
    ["account.name.size(3) > 1", ["wrong-type [account.name.size(3)] size() takes exactly one text or list."]],
  ])("%s", (text, expected) => {
    expect(problemsOf(text, "bool")).toEqual(expected);
  });

  test("a type that isn't the expected one", () => {
    expect(problemsOf("account.name", "timestamp")).toEqual([
      "wrong-type [account.name] A timestamp is needed here, and account.name is a text.",
    ]);
  });

  test("an undeclared fact by itself, where nothing says its type", () => {
    expect(problemsOf("event.payload.kind")).toEqual([
      "wrong-type [event.payload.kind] The type of event.payload.kind isn't declared, so it can't be used by itself. Declare it in model.yaml.",
    ]);
  });

  test("all problems at once, in the order of the text", () => {
    expect(problemsOf('acount.name == "x" && account.is_test > true && account.name.matches("y")', "bool")).toEqual([
      "unknown-fact [acount.name] There is no fact acount.name. Did you mean account.name? => account.name",
      'wrong-type [account.is_test > true] ">" needs numbers, texts, timestamps or durations; account.is_test is true or false.',
      'not-allowed [account.name.matches("y")] Regular expressions can\'t be used: one bad pattern could hold up every run. Use contains(), startsWith() or endsWith().',
    ]);
  });
});

describe("limits", () => {
  const split = "Move a part of it to segments.yaml and name the segment here.";
  test.each([
    [
      "2,001 characters",
      `"${"x".repeat(1_999)}"`,
      `The expression is 2001 characters long; at most 2000 are allowed. ${split}`,
    ],
    ["33 levels", `${"!".repeat(32)}true`, `The expression is nested more than 32 levels deep. ${split}`],
    ["34 terms", `0 < 1${" + 1".repeat(33)}`, `The expression is nested more than 32 levels deep. ${split}`],
    ["201 parts", `true${" && true".repeat(200)}`, `The expression has more than 200 parts. ${split}`],
    [
      "500 brackets",
      `${"(".repeat(500)}true${")".repeat(500)}`,
      `The expression is nested too deeply or has too many parts. ${split}`,
    ],
  ])("%s", (_, text, message) => {
    const checked = checkExpression(text, environment);
    expect(checked).toMatchObject({ ok: false, problems: [{ code: "expression-too-large", message }] });
    if (!checked.ok) expect(checked.problems).toHaveLength(1);
  });

  test("just within them passes", () => {
    expect(checkExpression(`"${"x".repeat(1_998)}"`, environment).ok).toBe(true);
    expect(checkExpression(`${"!".repeat(31)}true`, environment).ok).toBe(true);
    expect(checkExpression(`true${" && true".repeat(198)}`, environment).ok).toBe(true);
  });

  test("at most 20 problems are reported", () => {
    const checked = checkExpression(Array.from({ length: 150 }, (_, index) => `nope_${index}`).join("&&"), environment);
    expect(checked).toMatchObject({ ok: false });
    if (!checked.ok) expect(checked.problems).toHaveLength(20);
  });

  test("the slowest are checked without work that explodes", () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `account.some_fact_${index}`);
    const facts = Object.fromEntries(names.map((path) => [path, "number" as const]));
    const short = Object.fromEntries(names.map((_, index) => [`a.b${index}`, "number" as const]));
    const guarded = Array.from({ length: 39 }, (_, index) => `has(a.b${index})&&!(a.b${index}>1)`);
    const unknown = Array.from({ length: 90 }, (_, index) => `accounts.som_fact_${index}`);
    for (const [text, declared] of [
      [guarded.join("&&"), short],
      [guarded.join("||"), short],
      [unknown.join("||"), facts],
      [`${"!(".repeat(31)}${"a.b1>1||".repeat(60)}a.b2>2${")".repeat(31)}`, short],
    ] as const) {
      // Work that explodes would run into the test's own time limit; how fast it is belongs to a benchmark.
      expect(checkExpression(text, { facts: declared })).toBeDefined();
    }
  });
});

test("names of JavaScript's own objects are no facts", () => {
  expect(problemsOf('constructor == "x"', "bool")[0]).toContain("There is no fact constructor.");
  expect(problemsOf('account.constructor.name == "x"', "bool")[0]).toContain(
    "There is no fact account.constructor.name.",
  );
  expect(problemsOf("has(__proto__)", "bool")).toEqual(['syntax [__proto__] "__proto__" can\'t stand here.']);
});

test("10,000 heaps of tokens are accepted or refused with a place inside the text, and never throw", () => {
  const random = randomNumbers(7);
  const tokens = [
    "account.name",
    "now",
    "(",
    ")",
    "!",
    "&&",
    "||",
    "==",
    "<",
    "+",
    "-",
    "'a'",
    "3",
    "0.5",
    "[",
    "]",
    ",",
    "?",
  ];
  const rare = [
    ":",
    "in",
    "has(",
    "size(",
    ".contains(",
    "'",
    '"',
    "\\",
    "null",
    "{",
    "}",
    "\n",
    "//",
    "é",
    "\u{1F600}",
    "b'",
    "1e9",
    ".",
  ];
  let accepted = 0;
  for (let index = 0; index < 10_000; index += 1) {
    const length = 1 + Math.floor(random() * 12);
    const text = Array.from({ length }, () => {
      const from = random() < 0.8 ? tokens : rare;
      return from[Math.floor(random() * from.length)]!;
    }).join(random() < 0.5 ? " " : "");
    const checked = checkExpression(text, environment);
    if (checked.ok) accepted += 1;
    else {
      expect(checked.problems.length, text).toBeGreaterThan(0);
      for (const { offset, length: long } of checked.problems) {
        expect(offset >= 0 && long >= 0 && offset + long <= text.length, text).toBe(true);
      }
    }
  }
  expect(accepted).toBeGreaterThan(100);
});
