import { canonicalJson } from "../values/canonical-json.js";
import type { Segments } from "../customers/model.js";
import type { ConfigurationKind, Workspace } from "../ports/playbooks.js";
import type { Ports } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { armBefore, armEvery, triggerPrefix } from "./arm-triggers.js";
import { updateSegments } from "./update-segments.js";

export interface PublishReport {
  readonly playbooks: readonly {
    readonly playbook: string;
    readonly number: number;
    /** `new`: this content was never published; `back`: it was, and is current again; `same`: nothing changed. */
    readonly what: "new" | "back" | "same";
  }[];
  /** Playbooks that are no longer in the workspace: their runs go on, new ones are not made. */
  readonly retired: readonly string[];
  readonly configurations: readonly ConfigurationKind[];
}

/** Accounts that are looked at together when segments and dates are evaluated anew. */
const ACCOUNTS_PER_STEP = 500;

/**
 * Makes the workspace what new runs are made of, whole or not at all: templates, configurations, versions; then arms what
 * falls due. Live runs stay on their hash. A segment that is new or changed is evaluated without anybody entering it.
 * Idempotent: publishing the same again changes nothing. `alongside` (the audit) happens in the same transaction, last.
 */
export async function publish(
  ports: Ports,
  workspace: Workspace,
  by: string,
  alongside?: (tx: Tx, report: PublishReport) => Promise<void>,
): Promise<PublishReport> {
  const { store, clock } = ports;
  const at = clock.now();
  return store.transaction(async (tx) => {
    const before = await store.playbooks.current(tx);
    const segmentsBefore = (await store.playbooks.configuration<Segments>(tx, "segments")) ?? {};

    await store.playbooks.saveTemplates(tx, workspace.templates);
    const configurations: ConfigurationKind[] = [];
    for (const [kind, content] of Object.entries(workspace.configurations) as [ConfigurationKind, unknown][]) {
      if (await store.playbooks.saveConfiguration(tx, kind, content, at)) configurations.push(kind);
    }
    const playbooks: PublishReport["playbooks"][number][] = [];
    for (const { plan, source } of workspace.playbooks) {
      const { number, isNew, wasCurrent } = await store.playbooks.saveVersion(tx, { plan, source, at, by });
      playbooks.push({ playbook: plan.playbook, number, what: isNew ? "new" : wasCurrent ? "same" : "back" });
    }
    const present = new Set(workspace.playbooks.map(({ plan }) => plan.playbook));
    const retired = before.map((plan) => plan.playbook).filter((playbook) => !present.has(playbook));
    for (const playbook of retired) await store.playbooks.retire(tx, playbook);

    const plans = workspace.playbooks.map(({ plan }) => plan);
    for (const playbook of [...present, ...retired]) {
      const triggers = plans.find((plan) => plan.playbook === playbook)?.enroll.when ?? [];
      for (const kind of ["before", "every"] as const) {
        const armed = await store.due.withPrefix(tx, triggerPrefix(kind, playbook));
        const gone = armed.filter((item) => triggers[item.payload.trigger as number]?.kind !== kind);
        await store.due.disarm(
          tx,
          gone.map((item) => item.id),
        );
      }
    }
    const segments = (workspace.configurations.segments ?? {}) as Segments;
    await store.customers.keepSegments(tx, Object.keys(segments));
    const changedSegments = Object.keys(segments).filter(
      (name) => canonicalJson(segments[name]?.if) !== canonicalJson(segmentsBefore[name]?.if),
    );
    const accounts = (await store.customers.accounts(tx)).map((account) => account.id);
    for (let from = 0; from < accounts.length; from += ACCOUNTS_PER_STEP) {
      const ids = accounts.slice(from, from + ACCOUNTS_PER_STEP);
      await updateSegments(store, tx, ids, at, "publish", at, { only: changedSegments, silent: true });
      await armBefore(store, tx, plans, ids, at);
    }
    await armEvery(store, tx, plans, at);
    const report = { playbooks, retired, configurations };
    await alongside?.(tx, report);
    return report;
  });
}
