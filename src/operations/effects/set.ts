import type { Model } from "../../customers/model.js";
import type { Command, Outcome } from "../../engine/command.js";
import { SYSTEM_EVENTS } from "../../engine/event.js";
import type { FactValue } from "../../expression/expression.js";
import type { CustomerBatch, FieldValue } from "../../ports/customers.js";
import type { Store } from "../../ports/store.js";
import type { Tx } from "../../ports/transactions.js";
import { localDate } from "../../values/zone.js";
import { changedFacts } from "../../customers/changed-facts.js";
import { fieldProblem } from "../field-problem.js";
import { type Effect, effectId, effectInClaim, type Scene } from "../scene.js";

/**
 * Sets (null: clears) a declared field of the run's account, contact or contract, as of the run's instant, and tells who listens if it changed.
 * A value that couldn't be imported, or a colleague whom nobody knows, is an outcome `failed`, and nothing is written.
 */
export async function performSet(scene: Scene, command: Extract<Command, { kind: "set" }>): Promise<Effect<Outcome>> {
  const { store, clock } = scene.ports;
  const { run, at } = scene;
  const zone = (await scene.account()).timezone;
  const [entity = "", field = ""] = command.field.split(".");
  const contractId = entity === "contract" ? (await scene.facts(["contract.id"]))["contract.id"] : undefined;
  return effectInClaim(scene, async (tx): Promise<Outcome> => {
    const model = await store.playbooks.configuration<Model>(tx, "model");
    const id = { account: run.accountId, contact: run.contactId, contract: contractId }[entity];
    if (typeof id !== "string") return { kind: "failed", at, reason: `${command.field}: the run has no ${entity}` };
    const type =
      entity === "account" || entity === "contact" || entity === "contract" ? model?.[entity][field]?.type : undefined;
    const value = fieldValue(command.value, type, zone);
    // The same rule as for an import: an account with a zone that is none could not be worked with any more.
    const problem = await valueProblem(store, tx, model, entity, field, value);
    if (problem !== undefined) return { kind: "failed", at, reason: `${command.field}: ${problem}` };
    const row = { id, accountId: run.accountId, fields: { [field]: value }, at };
    const batch: CustomerBatch = { [`${entity}s`]: [row] };
    const result = await store.customers.upsert(tx, batch, { at, source: `run:${run.id}` });
    const [refusal] = result.refused;
    if (refusal) return { kind: "failed", at, reason: `${command.field}: ${refusal.reason}` };
    const changed = changedFacts(
      model,
      result.accounts.flatMap((account) => account.changed),
    );
    if (changed.length > 0) {
      const event = {
        id: `${SYSTEM_EVENTS.factsChanged}/${effectId(scene, command)}`,
        name: SYSTEM_EVENTS.factsChanged,
        at,
        accountId: run.accountId,
        ...(entity === "contact" && { contactId: id }),
        ...(entity === "contract" && { contractId: id }),
        changed,
        source: "run",
      };
      await store.events.append(tx, [event], clock.now());
    }
    return { kind: "done", at };
  });
}

async function valueProblem(
  store: Store,
  tx: Tx,
  model: Model | undefined,
  entity: string,
  field: string,
  value: FieldValue,
): Promise<string | undefined> {
  if (entity !== "account" && entity !== "contact" && entity !== "contract") return `there is no ${entity}`;
  const problem = fieldProblem(model, entity, field, value);
  if (problem !== undefined) return problem;
  // An import may bring the colleague later; a run brings nobody, and without one the account would have no CSM.
  const isColleague = entity === "account" && (field === "csm" || field === "manager") && typeof value === "string";
  if (!isColleague || (await store.customers.colleagues(tx, [value])).has(value)) return undefined;
  return `there is no colleague "${value}"`;
}

/** As an import would bring it: a date as its day in the account's zone, an instant as ISO text. */
function fieldValue(value: FactValue | null, type: string | undefined, zone: string): FieldValue {
  if (value === null) return null;
  if (typeof value === "number" && type === "date") return localDate(value, zone);
  if (typeof value === "number" && type === "datetime") return new Date(value).toISOString();
  if (typeof value === "object") throw new Error("a list can't be a field's value");
  return value;
}
