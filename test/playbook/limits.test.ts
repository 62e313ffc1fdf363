import { describe, expect, it } from "vitest";
import { advance, newRun } from "../../src/engine/advance.js";
import { readYaml } from "../../src/playbook/read-yaml.js";
import { compileWorkspace } from "../../src/playbook/workspace.js";
import { FIXTURE, fixtureWith, playbookWith } from "./fixture.js";

// Hostile files (proofs.md, S7) are refused before they can cost anything.
const HOSTILE: Readonly<Record<string, string>> = {
  "60,000 keys": Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join("\n"),
  "60,000 keys in one line": `{ ${Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join(", ")} }`,
  "more than 256 KB": `a: ${"x".repeat(300_000)}`,
  "more than 256 KB of umlauts": `a: ${"ä".repeat(150_000)}`,
  "100,000 brackets": `a: ${"[".repeat(100_000)}`,
  "100,000 braces": "{a: ".repeat(50_000),
  "dashes in a line": `a:\n  ${"- ".repeat(100_000)}`,
  "question marks": "? ".repeat(100_000),
  "100,000 items": `a: [${"1, ".repeat(80_000)}]`,
  "a bomb of aliases": `a: &a [1]\nb: [${"*a, ".repeat(9_000)}]`,
  "nested by indentation": Array.from({ length: 600 }, (_, index) => `${" ".repeat(index)}a:`).join("\n"),
};

// A guard against work that explodes, not a measure of speed: the figures are printed, tests run beside others.
const SLOWEST_MS = 10_000;
const slowest: number[] = [];

describe("hostile YAML", () => {
  for (const [name, source] of Object.entries(HOSTILE)) {
    it(`is refused at once: ${name}`, () => {
      readYaml("warm.yaml", "a: 1");
      const begun = performance.now();
      const { yaml, diagnostics } = readYaml("hostile.yaml", source);
      const tookMs = performance.now() - begun;
      expect(yaml === undefined || diagnostics.length === 0).toBe(true);
      if (name !== "nested by indentation") expect(diagnostics.length).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(SLOWEST_MS);
      slowest.push(tookMs);
    });
  }

  it("costs little", () => {
    console.log(`${slowest.length} hostile files, slowest ${Math.max(...slowest).toFixed(1)} ms`);
  });

  it("reads up to the limits", () => {
    const source = Array.from({ length: 2_000 }, (_, index) => `k${index}: 1`).join("\n");
    expect(readYaml("large.yaml", source).diagnostics).toEqual([]);
  });
});

describe("hostile playbooks", () => {
  const compiled = (steps: string) => {
    const begun = performance.now();
    const { diagnostics } = compileWorkspace(fixtureWith({ "sample/playbook.yaml": playbookWith(steps) }));
    const tookMs = performance.now() - begun;
    console.log(`${diagnostics.length} diagnostics in ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(SLOWEST_MS * 3);
    return diagnostics;
  };
  const wrong = Array.from({ length: 80 }, (_, index) => `acounts.som_fact_${index}`).join("||");
  const step = (index: number, condition: string) => `  - { id: s${index}, if: "${condition}", wait: 1d }\n`;

  it("are checked up to 100 faulty expressions", () => {
    const diagnostics = compiled(Array.from({ length: 100 }, (_, index) => step(index, wrong)).join(""));
    expect(diagnostics.at(-1)?.message).toBe(
      "More than 100 faults in expressions: this one and others are not checked yet.",
    );
    expect(diagnostics.length).toBeLessThan(200);
  });

  it("are checked up to 40,000 characters of expressions", () => {
    const right = Array.from({ length: 60 }, () => "account.seats > 3").join(" && ");
    const diagnostics = compiled(Array.from({ length: 60 }, (_, index) => step(index, right)).join(""));
    expect(diagnostics.map(({ message }) => message)).toEqual([
      "The playbook's expressions are longer than 40000 characters in all.",
    ]);
  });

  it("are checked up to 50 faults in one text", () => {
    const text = `---\nsubject: x\n---\n${"{{ acount.nam }} ".repeat(2_500)}`;
    const begun = performance.now();
    const { diagnostics } = compileWorkspace(fixtureWith({ "sample/templates/welcome.en.md": text }));
    expect(diagnostics.length).toBe(50);
    expect(performance.now() - begun).toBeLessThan(SLOWEST_MS);
  });
});

describe("random changes of a good file", () => {
  it("never throw, and cost little", () => {
    const random = mulberry32(20_260_302);
    const good = Object.entries(FIXTURE);
    const long = playbookWith(
      Array.from(
        { length: 40 },
        (_, index) => `  - { id: s${index}, task: { title: "Call {{ account.name }}", for: csm, due: 1 bd } }\n`,
      ).join(""),
    );
    good.push(["sample/playbook.yaml", long]);
    compileWorkspace(FIXTURE);
    let slowestMs = 0;
    for (let round = 0; round < 200; round++) {
      const [file, source] = good[Math.floor(random() * good.length)] as [string, string];
      const mutated = mutate(source, random);
      const begun = performance.now();
      const { diagnostics, plans } = compileWorkspace(fixtureWith({ [file]: mutated || " " }));
      slowestMs = Math.max(slowestMs, performance.now() - begun);
      for (const { line, column, endColumn = column + 1, message } of diagnostics) {
        expect([line >= 1, column >= 1, endColumn > column, message.length > 5], `${file}: ${mutated}`).toEqual([
          true,
          true,
          true,
          true,
        ]);
      }
      expect(JSON.parse(JSON.stringify(plans))).toEqual(plans);
    }
    console.log(`200 mutations, seed 20260302, slowest ${slowestMs.toFixed(1)} ms`);
    expect(slowestMs).toBeLessThan(SLOWEST_MS);
  });
});

const PIECES = [
  "{",
  "}",
  "[",
  "]",
  ":",
  "- ",
  "#",
  '"',
  "'",
  "\n",
  "\t",
  "&a ",
  "*a",
  "null",
  "12",
  "true",
  "{{ x }}",
  "{% if %}",
  "steps.a.b",
  "__proto__: 1",
  "!!x ",
  "? ",
  "---\n",
  "|\n",
  "\u0000",
  "\ud800",
];

function mutate(source: string, random: () => number): string {
  let text = source;
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const at = Math.floor(random() * text.length);
    const length = Math.floor(random() * 12);
    const piece = PIECES[Math.floor(random() * PIECES.length)] ?? "";
    const other = text.slice(Math.floor(random() * text.length)).slice(0, 20);
    const put = random() < 0.4 ? "" : random() < 0.7 ? piece : other;
    text = text.slice(0, at) + put + text.slice(at + (random() < 0.5 ? length : 0));
  }
  return text;
}

/** A small seeded generator; source: Tommy Ettinger, public domain. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("the longest playbook that can be published", () => {
  it("compiles, and the machine goes through it at once", () => {
    // 2,000 keys a file (WP006): each of these has four.
    const step = '  - choose: [ { if: run.id != "", steps: [] }, { else: [] } ]\n';
    const compiled = compileWorkspace(fixtureWith({ "sample/playbook.yaml": playbookWith(step.repeat(480)) }));
    expect(compiled.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    const plan = compiled.plans.find(({ playbook }) => playbook === "sample");
    if (plan === undefined) throw new Error("no plan");
    const run = {
      id: "run/sample/a/a/1",
      playbook: "sample",
      subject: "account",
      subjectId: "a",
      accountId: "a",
      key: "a",
      startedAt: 0,
    } as const;
    const { state } = advance(plan, newRun(plan, run), { kind: "start", at: 0 });
    expect(state.outcome).toBe("completed");
  });
});
