import type { Model } from "../../src/customers/model.js";
import { sha256Hex } from "../../src/values/sha256.js";
import { model as plainModel } from "../engine/plans.js";
import type { Case } from "../naive/smallest.js";
import { RANDOM_FIELDS, randomCase } from "../support/random-plans.js";
import { isolated } from "./isolate.js";

const event = { subject: "account", system: false, payload: { n: "number" } } as const;

/** The model that random plans and their stories are about. */
export const RANDOM_MODEL: Model = {
  ...plainModel,
  account: RANDOM_FIELDS,
  roles: { contact: ["champion", "end_user", "nobody"], staff: [], pools: [] },
  events: { x: event, y: event, z: event, bye: event },
};

/** Their only template. */
export const RANDOM_TEMPLATES = (["en", "pl"] as const).map((locale) => {
  const source = `---\nsubject: Hello (${locale})\n---\nHello.\n`;
  return { hash: sha256Hex(source), name: "t", locale, source };
});
export const RANDOM_HASHES = { t: Object.fromEntries(RANDOM_TEMPLATES.map(({ locale, hash }) => [locale, hash])) };

/** The random plan of a seed and its story. */
export const ownCase = (seed: number): Case => underOwnNames(randomCase(seed), seed);

/** A random plan, or what is left of one, and its story under names of their own, so that many walk side by side in one system. */
export function underOwnNames({ plan, scenario }: Case, number: number): Case {
  const playbook = `random-${number}`;
  const own = isolated(scenario, `r${number}`);
  const runId = `run/${playbook}/r${number}-a1/r${number}-a1/1`;
  return {
    plan: { ...plan, playbook, hash: playbook, templates: RANDOM_HASHES },
    scenario: {
      ...own,
      script: own.script.map((item) => ("runId" in item ? { ...item, runId } : item)),
      enrolments: (own.enrolments ?? []).map((one) => ({ ...one, playbook })),
    },
  };
}
