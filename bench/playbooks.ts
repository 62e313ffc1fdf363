import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WorkspaceFiles } from "../src/playbook/workspace.js";

/** One step of a measured flow; the reference workflows walk the same list. */
export type FlowStep = "mail" | "wait" | "branch";

/** The measured flows. Mails: `send: now`, uncapped, no quiet hours. Waits: one second, which runs out. Branches: a condition that holds, around nothing. */
export const FLOWS = {
  /** 4 e-mails, 2 waits, 1 branch. */
  reference: ["mail", "wait", "branch", "mail", "wait", "mail", "mail"],
  /** Ten steps: 4 effects, 3 waits, 3 pure ones. */
  ten: ["mail", "wait", "branch", "mail", "branch", "wait", "mail", "branch", "wait", "mail"],
  ten_effects: Array<FlowStep>(10).fill("mail"),
  forty_effects: Array<FlowStep>(40).fill("mail"),
} as const satisfies Readonly<Record<string, readonly FlowStep[]>>;

export type FlowName = keyof typeof FLOWS;

/** The playbook of a flow: `reference` is `bench-reference`. */
export function playbookOf(flow: FlowName): string {
  return `bench-${flow.replaceAll("_", "-")}`;
}

// Beside the sources in a checkout; the compiled bench is one folder deeper.
const ROOT = fileURLToPath(new URL(import.meta.url.includes("/dist/") ? "../../" : "../", import.meta.url));
/** The workspace that is shipped. */
export const SHIPPED = join(ROOT, "playbooks");

/** What all playbooks rely on is the shipped one; the playbooks are the measured flows, one for events and one for nine o'clock. */
export function benchWorkspace(): WorkspaceFiles {
  const files: Record<string, string> = {};
  for (const name of readdirSync(SHIPPED)) {
    if (name.endsWith(".yaml")) files[name] = readFileSync(join(SHIPPED, name), "utf8");
  }
  for (const [flow, steps] of Object.entries(FLOWS)) {
    const playbook = playbookOf(flow as FlowName);
    files[`${playbook}/playbook.yaml`] = playbookText(playbook, steps.map(stepText));
    addTemplate(files, playbook);
  }
  files["bench-wake/playbook.yaml"] = playbookText("bench-wake", [
    "  - { id: booked, wait_for: { event: meeting.booked, within: 300d } }",
    stepText("mail", 1),
  ]);
  files["bench-nine/playbook.yaml"] = playbookText("bench-nine", [
    "  - { id: morning, email: { to: champion, from: csm, template: hello, category: service, send: working hours } }",
  ]);
  for (const playbook of ["bench-wake", "bench-nine"]) addTemplate(files, playbook);
  return files;
}

/** The same words in every locale that a shipped playbook has its mails in. */
function addTemplate(files: Record<string, string>, playbook: string): void {
  for (const locale of ["en", "ru", "pl"]) files[`${playbook}/templates/hello.${locale}.md`] = TEMPLATE;
}

const TEMPLATE = `---
subject: "Hello, {{ contact.first_name | default: contact.name }}"
---
Hi {{ contact.first_name | default: contact.name }},

one thing matters today: connect your data. It takes about two minutes.

{{ csm.name }}
`;

function playbookText(playbook: string, steps: readonly string[]): string {
  return `playbook: ${playbook}
title: Measured
maintainer: cs-ops@waypost.example
subject: account
enroll: { when: [{ manual: {} }], key: account.id }
steps:
${steps.join("\n")}
  - end: onboarded
`;
}

function stepText(step: FlowStep, index: number): string {
  const id = `${step}_${index + 1}`;
  switch (step) {
    case "mail":
      // `service` is exempt from cap and quiet hours: policy.yaml.
      return `  - { id: ${id}, email: { to: champion, from: csm, template: hello, category: service, send: now } }`;
    case "wait":
      return `  - { id: ${id}, wait: 1s }`;
    case "branch":
      return `  - { id: ${id}, choose: [{ if: "account.arr >= 100", steps: [] }, { else: [] }] }`;
  }
}
