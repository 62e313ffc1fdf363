import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Plan } from "../../engine/plan.js";
import type { FactValue } from "../../expression/expression.js";
import type { EnrolleeRow } from "../../operations/enrol-many.js";
import type { ImportRecord } from "../../operations/import-files.js";
import { nearest } from "../../playbook/nearest.js";
import type { Store } from "../../ports/store.js";
import { readImportFile } from "./import-rows.js";

/** Members of a segment read at once. */
const MEMBERS_PER_READ = 1_000;

/**
 * Whom a file names, one a row: the columns `account`, `contact`, `contract`, `input:NAME` (CSV), or keys of these names (JSON lines).
 * `inputs` hold for every row that doesn't say otherwise. What can't be read comes as a problem with its place.
 */
export async function* enrolleesIn(
  path: string,
  plan: Plan,
  inputs: Readonly<Record<string, FactValue>>,
): AsyncGenerator<EnrolleeRow> {
  const known = ["account", "contact", "contract", ...Object.keys(plan.inputs).map((name) => `input:${name}`)];
  // The kind is only a name for messages here: whoever reads it knows its own columns.
  for await (const record of readImportFile({ path, kind: "accounts" })) {
    if ("message" in record) {
      yield record;
      continue;
    }
    const unknown = Object.keys(record.cells).find((heading) => !known.includes(heading));
    if (unknown !== undefined) {
      yield unknownHeading(record, unknown, known);
      // Every row of a CSV has the same columns.
      if (record.headingPlace !== undefined) return;
      continue;
    }
    const { file, line } = record;
    yield {
      accountId: textOf(record, "account"),
      contactId: textOf(record, "contact"),
      contractId: textOf(record, "contract"),
      inputs: { ...inputs, ...inputsOf(record, plan) },
      place: { file, line, column: record.column("contact" in record.cells ? "contact" : "account") },
    };
  }
}

/** The members of the segment as it stands, in order of id: accounts, or their active contacts where the playbook is about contacts. */
export async function* membersOf(
  store: Store,
  members: ReadonlySet<string>,
  subject: Plan["subject"],
  inputs: Readonly<Record<string, FactValue>>,
): AsyncGenerator<EnrolleeRow> {
  const accounts = [...members].sort();
  for (let from = 0; from < accounts.length; from += MEMBERS_PER_READ) {
    const some = accounts.slice(from, from + MEMBERS_PER_READ);
    const people = subject === "contact" ? await store.read((tx) => store.customers.belongings(tx, some)) : undefined;
    for (const accountId of some) {
      if (people === undefined) yield { accountId, inputs };
      else for (const contactId of people.get(accountId)?.contacts ?? []) yield { accountId, contactId, inputs };
    }
  }
}

/** SHA-256 of the file's bytes, hex: the same file is the same campaign. */
export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function unknownHeading(record: ImportRecord, heading: string, known: readonly string[]): EnrolleeRow {
  const like = nearest(heading, known);
  const hint = like === undefined ? `known are ${known.join(", ")}` : `did you mean "${like}"?`;
  const place = record.headingPlace?.(heading) ?? {
    file: record.file,
    line: record.line,
    column: record.column(heading),
  };
  const rest = record.headingPlace === undefined ? "" : ". Nobody of this file is enrolled until it is right";
  return { ...place, message: `"${heading}" is no column of a list to enrol; ${hint}${rest}` };
}

function textOf({ cells }: ImportRecord, heading: string): string | undefined {
  const value = cells[heading];
  const text = typeof value === "string" ? value.trim() : typeof value === "number" ? String(value) : "";
  return text === "" ? undefined : text;
}

/** As the playbook declares them; what doesn't fit stays a text, and is refused as one. An empty cell is as if it were not there. */
function inputsOf({ cells }: ImportRecord, plan: Plan): Record<string, FactValue> {
  const inputs: Record<string, FactValue> = {};
  for (const [name, { type }] of Object.entries(plan.inputs)) {
    const value = cells[`input:${name}`];
    if (value === undefined || value === null || value === "") continue;
    if (typeof value !== "string") inputs[name] = value as FactValue;
    else if (type === "number" && Number.isFinite(Number(value))) inputs[name] = Number(value);
    else if (type === "boolean" && /^(true|false)$/i.test(value)) inputs[name] = value.toLowerCase() === "true";
    else inputs[name] = value;
  }
  return inputs;
}
