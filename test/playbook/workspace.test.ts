import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "../../src/playbook/diagnostic.js";
import { compileWorkspace, isPublishable } from "../../src/playbook/workspace.js";
import { FIXTURE, fixtureWith, playbookWith } from "./fixture.js";

const told = (files: Record<string, string>) =>
  compileWorkspace(files).diagnostics.map(
    ({ code, severity, file, line, message }) => `${code} ${severity} ${file}:${line} ${message}`,
  );

describe("a workspace", () => {
  it("without a fault gives typed parts and plans", () => {
    const workspace = compileWorkspace(FIXTURE);
    expect(workspace.diagnostics).toEqual([]);
    expect(isPublishable(workspace)).toBe(true);
    expect(workspace.plans.map(({ playbook }) => playbook)).toEqual(["other", "person", "sample"]);
    expect(workspace.templates.map(({ name, locale }) => `${name}.${locale}`).sort()).toEqual([
      "welcome.en",
      "welcome.pl",
      "welcome.ru",
    ]);
    expect(workspace.calendars?.map(({ name, hours, holidays }) => [name, Object.keys(hours), holidays])).toEqual([
      ["standard", ["mon", "tue", "wed", "thu", "fri"], []],
      ["ae", ["sun", "mon", "tue", "wed", "thu"], ["2026-12-02"]],
    ]);
    expect(workspace.policy?.email).toEqual({
      cap: { messages: 3, per: { amount: 7, unit: "d" } },
      quietHours: { from: "20:00", to: "08:00" },
      send: { kind: "working_hours" },
      sendWithin: { amount: 3, unit: "bd" },
      spread: { amount: 45, unit: "m" },
      spacingAfterRelease: { amount: 4, unit: "h" },
      unknown: "hold",
      from: { name: "Acme CS", address: "success@cs.example" },
    });
    expect(workspace.policy?.categories["service"]).toEqual({
      title: { en: "Notices", ru: "Notices", pl: "Powiadomienia" },
      canUnsubscribe: false,
      isCapped: false,
      keepsQuietHours: true,
    });
    expect(workspace.policy?.tasks.fallback).toEqual([{ kind: "manager" }]);
    expect(workspace.model?.contract["notice_date"]).toEqual({
      type: "date",
      derived: { date: "end_date", sign: -1, days: "notice_days" },
    });
    expect(workspace.model?.account["name"]).toEqual({ type: "string" });
    expect(workspace.segments?.["customers"]?.if.op).toBe("and");
    expect(workspace.health?.measures["usage"]).toEqual({
      title: "usage",
      value: "usage.key_actions_7d",
      freshMs: 864_000_000,
      scale: { kind: "bands", bands: [{ under: 5, points: 10 }, { points: 100 }] },
    });
    expect(workspace.health?.profiles.map(({ name, if: condition }) => [name, condition?.op])).toEqual([
      ["enterprise", "=="],
      ["others", undefined],
    ]);
  });

  it("says which files are missing, and gives nothing of them", () => {
    const workspace = compileWorkspace({ "sample/playbook.yaml": FIXTURE["sample/playbook.yaml"] ?? "" });
    expect(workspace.diagnostics.filter(({ code }) => code === "WP601").map(({ file }) => file)).toEqual([
      "calendars.yaml",
      "health.yaml",
      "model.yaml",
      "policy.yaml",
      "segments.yaml",
    ]);
    expect([workspace.model, workspace.policy, workspace.segments, workspace.calendars, workspace.health]).toEqual(
      Array(5).fill(undefined),
    );
    expect(workspace.plans).toEqual([]);
    expect(isPublishable(workspace)).toBe(false);
  });

  it("gives no health model and no segments without a model", () => {
    const { health, segments, policy } = compileWorkspace(fixtureWith({ "model.yaml": "" }));
    expect([health, segments, policy === undefined]).toEqual([undefined, undefined, false]);
  });

  it("keeps the other plans when one playbook has a fault", () => {
    const { plans } = compileWorkspace(fixtureWith({ "sample/playbook.yaml": playbookWith("  - end: nowhere\n") }));
    expect(plans.map(({ playbook }) => playbook)).toEqual(["other", "person"]);
  });

  it("leaves tests and other files alone, and wonders about stray YAML", () => {
    const files = fixtureWith({
      "sample/first.test.yaml": ":::",
      "sample/notes.txt": "x",
      "onboarding.yaml": "x: 1",
      "sample/templates/old/welcome.en.md": "x",
    });
    expect(told(files)).toEqual(["WP606 warning onboarding.yaml:1 Nothing reads this file."]);
  });

  it("knows playbooks that freeze a metric", () => {
    const model = (FIXTURE["model.yaml"] ?? "").replace("window: 7d }", "window: 7d, frozen_while: othr }");
    const files = fixtureWith({ "model.yaml": model });
    expect(told(files)).toEqual(['WP206 warning model.yaml:13 key_actions_7d: there is no playbook "othr".']);
    const [diagnostic] = compileWorkspace(files).diagnostics;
    expect(diagnostic && formatDiagnostic(diagnostic, model)).toContain('^^^^\n  = Did you mean "other"?');
    const far = fixtureWith({ "model.yaml": model.replace("othr", "rescue-of-somebody") });
    expect(compileWorkspace(far).diagnostics[0]?.hint).toBe("Remove frozen_while, or add the playbook.");
  });

  it("finds a playbook that starts itself by a detour", () => {
    const files = fixtureWith({
      "other/playbook.yaml": playbookWith("  - { id: a, play: { playbook: sample } }\n").replace(
        "playbook: sample\n",
        "playbook: other\n",
      ),
      "sample/playbook.yaml": playbookWith("  - { id: a, play: { playbook: other } }\n"),
    });
    expect(told(files)).toEqual([
      "WP502 error other/playbook.yaml:7 Every run would start another run: other → sample → other.",
      "WP502 error sample/playbook.yaml:7 Every run would start another run: sample → other → sample.",
    ]);
  });

  describe("finds playbooks that their own events start again", () => {
    const model = (FIXTURE["model.yaml"] ?? "").replace(
      "outcomes:",
      "  run.ended: { subject: account, system: true }\n  facts.changed: { subject: account, system: true }\noutcomes:",
    );
    const playbook = (name: string, enroll: string, steps: string) =>
      playbookWith(steps)
        .replace("playbook: sample", `playbook: ${name}`)
        .replace("enroll: { when: [ { manual: {} } ] }", `enroll: ${enroll}`);
    const errors = (...playbooks: [string, string, string][]) =>
      told(
        fixtureWith({
          "model.yaml": model,
          ...Object.fromEntries(playbooks.map((each) => [`${each[0]}/playbook.yaml`, playbook(...each)])),
        }),
      ).filter((line) => !line.startsWith("WP411"));
    const on = (event: string, more = "") => `{ when: [ { event: ${event} } ], again: always${more} }`;
    const END = "  - end: void\n";
    const SET = "  - { id: s, set: { field: account.stage, value: '\"adoption\"' } }\n";

    it("by its own end, or a field that it sets", () => {
      expect(errors(["sample", on("run.ended"), END])).toEqual([
        "WP502 error sample/playbook.yaml:5 Every run would start another run: sample → run.ended → sample.",
      ]);
      expect(errors(["sample", on("facts.changed"), SET])).toEqual([
        "WP502 error sample/playbook.yaml:5 Every run would start another run: sample → facts.changed → sample.",
      ]);
    });

    it("by a detour over others", () => {
      const other = errors(
        ["sample", on("facts.changed"), "  - { id: p, play: { playbook: other } }\n"],
        ["other", "{ when: [ { manual: {} } ], again: always }", SET],
      );
      expect(other).toEqual([
        "WP502 error sample/playbook.yaml:5 Every run would start another run: sample → other → facts.changed → sample.",
      ]);
    });

    it("not where something is asked, waits, or runs once", () => {
      const fine: [string, string][] = [
        [on("run.ended", ", if: account.is_test"), END],
        ['{ when: [ { event: run.ended, where: event.name == "x" } ], again: always }', END],
        ["{ when: [ { event: run.ended } ] }", END],
        ["{ when: [ { event: run.ended } ], again: { after: 1d } }", END],
        [on("run.ended"), "  - { id: w, wait: 1d }\n"],
        [on("facts.changed"), SET.replace("{ id: s,", "{ id: s, if: account.is_test,")],
        [on("contract.signed"), SET],
      ];
      for (const [enroll, steps] of fine) expect(errors(["sample", enroll, steps]), enroll).toEqual([]);
    });
  });

  it("refuses more than 200 playbooks", () => {
    const many = Object.fromEntries(
      Array.from({ length: 201 }, (_, index) => [`p${String(index).padStart(3, "0")}/playbook.yaml`, "x"]),
    );
    expect(told(many).filter((line) => line.startsWith("WP108"))).toEqual([
      "WP108 error p200/playbook.yaml:1 There are more than 200 playbooks.",
    ]);
  });
});

describe("templates", () => {
  it("are there in every locale", () => {
    expect(told(fixtureWith({ "sample/templates/welcome.pl.md": "" }))).toEqual([
      'WP402 error sample/playbook.yaml:7 The template "welcome" is missing in pl.',
    ]);
    expect(
      told(fixtureWith({ "sample/templates/welcome.de.md": FIXTURE["sample/templates/welcome.en.md"] ?? "" })),
    ).toEqual(['WP402 error sample/templates/welcome.de.md:1 "de" is no locale that mail is written in.']);
  });

  it("mention the same in every locale, and are used", () => {
    const files = fixtureWith({
      "sample/templates/welcome.en.md": `${FIXTURE["sample/templates/welcome.en.md"]}{{ account.name }}\n`,
      "sample/templates/spare.en.md": FIXTURE["sample/templates/welcome.en.md"] ?? "",
    });
    expect(told(files)).toEqual([
      'WP411 warning sample/templates/spare.en.md:1 No step sends the template "spare".',
      'WP407 warning sample/templates/welcome.pl.md:1 "account.name" stands in welcome.en.md, but not here.',
      'WP407 warning sample/templates/welcome.ru.md:1 "account.name" stands in welcome.en.md, but not here.',
    ]);
    expect(isPublishable(compileWorkspace(files))).toBe(true);
  });

  it("are not longer than 50,000 characters", () => {
    expect(told(fixtureWith({ "sample/templates/welcome.en.md": "x".repeat(50_001) }))).toEqual([
      "WP108 error sample/templates/welcome.en.md:1 The template is longer than 50000 characters.",
    ]);
  });
});

describe("the hash of a plan", () => {
  const hash = (changed: Record<string, string>) =>
    compileWorkspace(fixtureWith(changed)).plans.find(({ playbook }) => playbook === "sample")?.hash;
  const steps = playbookWith("  - { id: a, if: usage.key_actions_7d > 1, wait: 1d }\n").replace(
    "manual: {}",
    "enters: segment.customers",
  );
  const base = hash({ "sample/playbook.yaml": steps });

  it("depends on the playbook, its segments and its view of the model", () => {
    expect(base).toMatch(/^[0-9a-f]{64}$/);
    expect(hash({ "sample/playbook.yaml": steps.replace("1d", "2d") })).not.toBe(base);
    expect(
      hash({ "sample/playbook.yaml": steps, "segments.yaml": "customers: { if: account.is_test == true }\n" }),
    ).not.toBe(base);
    const model = (FIXTURE["model.yaml"] ?? "").replace("aggregate: sum, window: 7d }", "aggregate: sum, window: 8d }");
    expect(hash({ "sample/playbook.yaml": steps, "model.yaml": model })).not.toBe(base);
    const welcome = playbookWith("  - { id: a, email: { to: champion, template: welcome, category: onboarding } }\n");
    const text = `${FIXTURE["sample/templates/welcome.ru.md"]}!`;
    expect(hash({ "sample/playbook.yaml": welcome, "sample/templates/welcome.ru.md": text })).not.toBe(
      hash({ "sample/playbook.yaml": welcome }),
    );
  });

  it("depends on nothing else", () => {
    expect(hash({ "sample/playbook.yaml": `# A comment\n${steps}`, "other/playbook.yaml": "" })).toBe(base);
    expect(
      hash({ "sample/playbook.yaml": steps, "model.yaml": `${FIXTURE["model.yaml"]}  later: { kind: good }\n` }),
    ).toBe(base);
  });
});
