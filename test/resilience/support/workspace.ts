/** A workspace of a few lines: what a test doesn't look at isn't in it. Playbooks are added by name. */
export function workspace(
  playbooks: Readonly<Record<string, string>>,
  templates: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const files: Record<string, string> = { ...BASE };
  for (const [name, steps] of Object.entries(playbooks)) {
    files[`${name}/playbook.yaml`] = headOf(name) + steps;
    for (const [, template = ""] of steps.matchAll(/template: ([\w-]+)/g)) {
      const text =
        templates[template] ??
        `---\nsubject: "${template} for {{ account.name }}"\npreheader: "${template}"\n---\n${template}.\n`;
      for (const locale of ["en", "pl", "ru"])
        files[`${name}/templates/${template}.${locale}.md`] = `${text}\n(${locale})\n`;
    }
  }
  return files;
}

/** Enrols by hand, or by `signal.raised` that gives the playbook's name as its reason; once at a time for an account. */
function headOf(name: string): string {
  return `playbook: ${name}
title: The ${name} playbook
maintainer: ops@waypost.example
subject: account
enroll:
  when: [ { event: signal.raised, where: event.reason == "${name}" }, { manual: {} } ]
  again: always
steps:
`;
}

/** A mail that goes at once, whatever the hour. */
export function mail(id: string): string {
  return `  - { id: ${id}, email: { to: champion, template: ${id}, category: service, send: now } }\n`;
}

/** Waits for `go`, an hour at most. */
export function waitForGo(id = "go"): string {
  return `  - { id: ${id}, wait_for: { event: go.given, since: wait, within: 1h, otherwise: [ { end: void } ] } }\n`;
}

export const END = "  - end: done\n";

const BASE: Readonly<Record<string, string>> = {
  "model.yaml": `account:
  stage: { type: string, values: [onboarding, adoption, churned] }
contract:
  quote: { type: number }
roles:
  contact: [champion]
  staff: [account_executive]
  pools: [scaled]
events:
  signal.raised: { subject: account, payload: { reason: string } }
  go.given: { subject: account, payload: { word: string } }
outcomes:
  done: { kind: good, title: Done }
  void: { kind: neutral, title: Void }
`,
  "policy.yaml": `company: { name: Acme CS, domain: waypost.example, support_email: help@waypost.example, postal_address: 1 Main Street }
email: { from: { name: Acme CS, address: success@waypost.example } }
categories:
  service: { title: Notices, unsubscribe: false, capped: false, quiet_hours: false }
slack: { unassigned_channel: "#unassigned", alerts_channel: "#alerts" }
`,
  "calendars.yaml": `standard: { hours: { mon-fri: "09:00-17:00" } }\n`,
  "segments.yaml": `customers: { if: account.is_test == false }\n`,
  "health.yaml": `version: 1
measures:
  stage: { value: account.stage, values: { onboarding: 50, adoption: 100 } }
profiles:
  - { name: all, weights: { stage: 1 } }
`,
};
