import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Segments } from "../../../customers/model.js";
import { enrol } from "../../../operations/enrol.js";
import { type EnrolleeRow, enrolMany, type ManyReport } from "../../../operations/enrol-many.js";
import { suggestion } from "../../../playbook/nearest.js";
import { AnswerNo, outputOf, UsageFault } from "../answer.js";
import { collect, readPairs } from "../arguments.js";
import { enrolleesIn, hashOfFile, membersOf } from "../enrol-rows.js";
import { actor, withInstallation } from "../session.js";
import type { Wired } from "../../wire.js";

interface EnrolOptions {
  readonly account?: string;
  readonly contact?: string;
  readonly contract?: string;
  readonly segment?: string;
  readonly csv?: string;
  readonly campaign?: string;
  readonly input: readonly string[];
  readonly json?: boolean;
}

/** `waypost enrol PLAYBOOK`: one by hand (`--account`, `--contact`), or many (`--segment`, `--csv`). */
export function registerEnrol(program: Command): void {
  program
    .command("enrol")
    .description("enrol one account or contact into a playbook, or all of a segment or a file")
    .argument("<playbook>")
    .option("--account <id>", "whom; a contact or a contract names its account by itself")
    .option("--contact <id>", "for a playbook about contacts")
    .option("--contract <id>", "which contract `contract.…` means")
    .option("--segment <name>", "everybody who is in it now")
    .option("--csv <file>", "everybody it names: columns account, contact, contract, input:NAME (also .jsonl)")
    .option("--campaign <name>", "with --segment and --csv: the same campaign enrols nobody twice")
    .option("--input <name=value>", "an input of the playbook; repeatable", collect, [])
    .option("--json", "{ ok, kind, run }; of many { ok, campaign, rows, enrolled, … }")
    .addHelpText(
      "after",
      "\nMany: interrupted or killed, give the same command again; it goes on where it was. Its campaign is the segment's name, or the file's content:\nto enrol the same ones anew, name another --campaign. Workers begin the runs.",
    )
    .action(async (playbook: string, options: EnrolOptions) => {
      const ways = [options.segment, options.csv, options.account ?? options.contact ?? options.contract];
      if (ways.filter((way) => way !== undefined).length !== 1)
        throw new UsageFault("Say whom, in one way: --account ID, --contact ID, --segment NAME or --csv FILE.");
      const inputs = readPairs(options.input, "--input");
      if (options.segment === undefined && options.csv === undefined) {
        if (options.campaign !== undefined) throw new UsageFault("--campaign goes with --segment and --csv.");
        return enrolOne(playbook, options, inputs);
      }
      return enrolAll(playbook, options, inputs);
    });
}

type Inputs = ReturnType<typeof readPairs>;

async function enrolOne(playbook: string, options: EnrolOptions, inputs: Inputs): Promise<void> {
  const outcome = await withInstallation(async ({ store, clock, audit }) =>
    store.transaction(async (tx) => {
      const now = clock.now();
      const accountId = options.account ?? (await accountOf(store, tx, options));
      const result = await enrol(
        store,
        tx,
        {
          playbook,
          accountId,
          contactId: options.contact,
          contractId: options.contract,
          at: now,
          cause: `cli/${randomUUID()}`,
          inputs,
          source: "cli",
        },
        now,
      );
      if (result.kind !== "refused") {
        await audit.record(tx, {
          at: now,
          actor: actor(),
          action: "run.enrol",
          subject: result.run,
          detail: { kind: result.kind },
        });
      }
      return result;
    }),
  );
  if (outcome.kind === "refused") throw new AnswerNo(`Not enrolled: ${outcome.message}.`, { ok: false, ...outcome });
  outputOf(options.json === true).answer(
    { ok: true, ...outcome },
    outcome.kind === "enrolled"
      ? `Enrolled: ${outcome.run}`
      : `A run for this key is live and was told: ${outcome.run}`,
  );
}

/** Whose the contact or contract is. */
async function accountOf(
  store: Wired["store"],
  tx: Parameters<Wired["store"]["lockAccounts"]>[0],
  { contact, contract }: EnrolOptions,
): Promise<string> {
  const places = await store.customers.locate(tx, {
    account: [],
    contact: contact === undefined ? [] : [contact],
    contract: contract === undefined ? [] : [contract],
  });
  const place = places.contact.get(contact ?? "") ?? places.contract.get(contract ?? "");
  if (place !== undefined) return place.accountId;
  const message = contact === undefined ? `there is no contract "${contract}"` : `there is no contact "${contact}"`;
  throw new AnswerNo(`Not enrolled: ${message}.`, { ok: false, kind: "refused", reason: "no_subject", message });
}

/** A line of progress after so many milliseconds of real time. */
const PROGRESS_MS = 1_000;

async function enrolAll(playbook: string, options: EnrolOptions, inputs: Inputs): Promise<void> {
  const output = outputOf(options.json === true);
  const { csv, segment } = options;
  if (csv !== undefined && !existsSync(csv)) throw new UsageFault(`${csv} is not there.`);
  if (csv !== undefined && !/\.(csv|jsonl|ndjson)$/i.test(csv))
    throw new UsageFault(`${csv}: only .csv and .jsonl files can be read.`);
  const campaign =
    options.campaign ?? (csv === undefined ? `segment/${segment}` : `file/${(await hashOfFile(csv)).slice(0, 16)}`);
  const report = await withInstallation(async (wired) => {
    const { store, audit, clock } = wired;
    const plan = (await store.read((tx) => store.playbooks.current(tx))).find((one) => one.playbook === playbook);
    if (plan === undefined) throw new AnswerNo(`Not enrolled: no playbook "${playbook}" is published.`);
    const members = segment === undefined ? undefined : await segmentMembers(wired, segment);
    const rows: AsyncIterable<EnrolleeRow> =
      csv === undefined ? membersOf(store, members ?? new Set(), plan.subject, inputs) : enrolleesIn(csv, plan, inputs);
    const startedAt = performance.now();
    let saidAt = startedAt;
    return enrolMany(wired, { playbook, id: campaign, source: "cli" }, rows, {
      alongside: (tx, enrolled) =>
        audit.record(tx, {
          at: clock.now(),
          actor: actor(),
          action: "run.enrol_many",
          subject: playbook,
          detail: { campaign, enrolled },
        }),
      onProgress: (soFar) => {
        const now = performance.now();
        if (now - saidAt < PROGRESS_MS) return;
        saidAt = now;
        const rate = Math.round((soFar.rows / (now - startedAt)) * 1000);
        output.progress(
          `${soFar.rows} read: ${soFar.enrolled} enrolled, ${soFar.already} were already, ${soFar.bad} bad (${rate} a second)`,
        );
      },
    });
  });
  const json = { ok: report.bad === 0, campaign, ...report };
  if (report.bad > 0) throw new AnswerNo(inWords(report, campaign), json);
  output.answer(json, inWords(report, campaign));
}

async function segmentMembers({ store }: Wired, segment: string): Promise<ReadonlySet<string>> {
  return store.read(async (tx) => {
    const declared = Object.keys((await store.playbooks.configuration<Segments>(tx, "segments")) ?? {});
    if (!declared.includes(segment))
      throw new AnswerNo(
        `There is no segment "${segment}". ${suggestion(segment, declared) ?? "None is declared."}`.trim(),
      );
    return (await store.customers.segmentMembers(tx)).get(segment) ?? new Set();
  });
}

function inWords({ rows, enrolled, already, told, leftOut, bad, problems }: ManyReport, campaign: string): string {
  const parts = [
    `${enrolled} enrolled`,
    ...(already === 0 ? [] : [`${already} were already, by this campaign`]),
    ...(told === 0 ? [] : [`${told} have a live run, which was told`]),
    ...(leftOut.condition === 0 ? [] : [`${leftOut.condition} left out by the playbook's \`if\``]),
    ...(leftOut.again === 0 ? [] : [`${leftOut.again} left out by its \`again\``]),
    `${bad} bad${bad > problems.length ? ` (the first ${problems.length} are listed)` : ""}`,
  ];
  return [
    ...problems.map(({ file, line, column, message }) =>
      file === undefined ? message : `${file}:${line}:${column}: ${message}`,
    ),
    `${rows} read: ${parts.join(", ")}.`,
    `Campaign: ${campaign}`,
  ].join("\n");
}
