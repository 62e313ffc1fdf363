import type { Given, GivenEntity, GivenValue, Scenario, Scripted } from "../../src/simulation/records.js";
import type { FactValue } from "../../src/expression/expression.js";

/** Fields and payload values that name somebody. */
const NAMING = new Set(["id", "contact_id", "contract_id", "account_id", "user_id", "account", "contact", "contract"]);

/**
 * The scenario with every customer's id and address of its own, so that many walk side by side in one system; our own people are in all of them. Both sides walk this one: ids decide how mails
 * are spread over a morning.
 */
export function isolated(scenario: Scenario, prefix: string): Scenario {
  const own = (id: string): string => `${prefix}-${id}`;
  const entity = (row: GivenEntity): GivenEntity => ({
    ...row,
    id: own(row.id),
    ...(row.accountId === undefined ? {} : { accountId: own(row.accountId) }),
    fields: Object.fromEntries(Object.entries(row.fields).map(([name, value]) => [name, field(name, value)])),
  });
  const field = (name: string, value: GivenValue): GivenValue =>
    typeof value !== "string" ? value : name === "email" ? address(value) : NAMING.has(name) ? own(value) : value;
  const address = (email: string): string => `${prefix}.${email}`;
  const payload = (values: Readonly<Record<string, FactValue>>): Record<string, FactValue> =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        NAMING.has(name) && typeof value === "string" ? own(value) : value,
      ]),
    );
  const rows = (given: Given): Given => ({
    ...(given.users && { users: given.users }),
    ...(given.absences && {
      absences: given.absences.map((one) => ({
        ...one,
        id: own(one.id),
      })),
    }),
    ...(given.accounts && { accounts: given.accounts.map(entity) }),
    ...(given.contacts && { contacts: given.contacts.map(entity) }),
    ...(given.contracts && { contracts: given.contracts.map(entity) }),
    ...(given.samples && {
      samples: given.samples.map((one) => ({
        ...one,
        id: own(one.id),
        accountId: own(one.accountId),
        ...(one.user === undefined ? {} : { user: own(one.user) }),
      })),
    }),
    ...(given.tickets && {
      tickets: given.tickets.map((one) => ({ ...one, id: own(one.id), accountId: own(one.accountId) })),
    }),
    ...(given.surveyAnswers && {
      surveyAnswers: given.surveyAnswers.map((one) => ({
        ...one,
        id: own(one.id),
        accountId: own(one.accountId),
        ...(one.contactId === undefined ? {} : { contactId: own(one.contactId) }),
      })),
    }),
  });
  const scripted = (item: Scripted): Scripted =>
    item.kind === "upsert"
      ? { ...item, id: own(item.id), rows: rows(item.rows) }
      : {
          ...item,
          id: own(item.id),
          accountId: own(item.accountId),
          ...(item.contactId === undefined ? {} : { contactId: own(item.contactId) }),
          ...(item.contractId === undefined ? {} : { contractId: own(item.contractId) }),
          payload: payload(item.payload),
        };
  return {
    ...scenario,
    given: rows(scenario.given),
    script: scenario.script.map(scripted),
    reactions: scenario.reactions.map((reaction) =>
      reaction.do.kind === "event"
        ? { ...reaction, do: { ...reaction.do, payload: payload(reaction.do.payload) } }
        : reaction,
    ),
    ...(scenario.enrolments && {
      enrolments: scenario.enrolments.map((one) => ({
        ...one,
        accountId: own(one.accountId),
        ...(one.contactId === undefined ? {} : { contactId: own(one.contactId) }),
      })),
    }),
  };
}
