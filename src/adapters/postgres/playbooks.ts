import { and, asc, desc, eq, ne, sql } from "drizzle-orm";
import type { Plan } from "../../engine/plan.js";
import type { ConfigurationKind, Playbooks, PublishedVersion } from "../../ports/playbooks.js";
import type { Tx } from "../../ports/transactions.js";
import { sha256Hex } from "../../values/sha256.js";
import { inside } from "./database.js";
import { configurations, playbookVersions, templates } from "./schema.js";
import { ask } from "./statement.js";

/** Plans and configurations remembered per process: more than any installation publishes in a year. */
const REMEMBERED_MAX = 500;

/** Playbook versions, templates and configurations. What has a hash never changes and is read once per process. */
export function postgresPlaybooks(): Playbooks {
  const remembered = new Map<string, unknown>();
  const remember = async <T>(key: string, read: () => Promise<T | undefined>): Promise<T | undefined> => {
    if (remembered.has(key)) return remembered.get(key) as T;
    const value = await read();
    if (value === undefined) return undefined;
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value as string);
    remembered.set(key, value);
    return value;
  };
  // The hash is in the condition: what is remembered under it is never a later publication's.
  const contentOf = (tx: Tx, kind: ConfigurationKind, hash: string): Promise<unknown> =>
    remember(`${kind}:${hash}`, async () => {
      const [found] = await inside(tx)
        .select({ content: configurations.content })
        .from(configurations)
        .where(and(eq(configurations.kind, kind), eq(configurations.hash, hash)));
      return found?.content;
    });
  const playbooks: Playbooks = {
    plan: (tx, hash) =>
      remember(`plan:${hash}`, async () => {
        const rows = await inside(tx)
          .select({ plan: playbookVersions.plan })
          .from(playbookVersions)
          .where(eq(playbookVersions.hash, hash));
        return rows[0]?.plan as Plan | undefined;
      }),

    async current(tx) {
      const rows = await ask<{ hash: string }>(tx, CURRENT, []);
      const plans: Plan[] = [];
      for (const { hash } of rows) {
        const plan = await playbooks.plan(tx, hash);
        if (plan !== undefined) plans.push(plan);
      }
      return plans;
    },

    async versions(tx, playbook) {
      const { plan: _plan, source: _source, ...columns } = COLUMNS;
      const rows = await inside(tx)
        .select(columns)
        .from(playbookVersions)
        .where(playbook === undefined ? undefined : eq(playbookVersions.playbook, playbook))
        .orderBy(asc(playbookVersions.playbook), desc(playbookVersions.number));
      return rows satisfies PublishedVersion[];
    },

    template: (tx, hash) =>
      remember(`template:${hash}`, async () => {
        const rows = await inside(tx).select().from(templates).where(eq(templates.hash, hash));
        return rows[0];
      }),

    async configuration<T>(tx: Tx, kind: ConfigurationKind) {
      const [row] = await ask<{ hash: string }>(tx, HASH_OF, [kind]);
      return row && ((await contentOf(tx, kind, row.hash)) as T | undefined);
    },

    async configurations(tx) {
      const found: Partial<Record<ConfigurationKind, unknown>> = {};
      for (const { kind, hash } of await ask<{ kind: ConfigurationKind; hash: string }>(tx, HASHES, [])) {
        found[kind] = await contentOf(tx, kind, hash);
      }
      return found;
    },

    async saveTemplates(tx, sources) {
      if (sources.length === 0) return;
      await inside(tx)
        .insert(templates)
        .values([...sources])
        .onConflictDoNothing();
    },

    async saveVersion(tx, { plan, source, at, by }) {
      // Two publications at once would both read the same highest number.
      await inside(tx).execute(sql`select pg_advisory_xact_lock(hashtextextended(${`publish:${plan.playbook}`}, 2))`);
      const [known] = await inside(tx)
        .select(COLUMNS)
        .from(playbookVersions)
        .where(eq(playbookVersions.hash, plan.hash));
      if (known?.isCurrent) return { number: known.number, isNew: false, wasCurrent: true };
      await inside(tx)
        .update(playbookVersions)
        .set({ isCurrent: false })
        .where(and(eq(playbookVersions.playbook, plan.playbook), ne(playbookVersions.hash, plan.hash)));
      if (known !== undefined) {
        await inside(tx).update(playbookVersions).set({ isCurrent: true }).where(eq(playbookVersions.hash, plan.hash));
        return { number: known.number, isNew: false, wasCurrent: false };
      }
      const [last] = await inside(tx)
        .select({ number: sql<number>`coalesce(max(${playbookVersions.number}), 0)::int` })
        .from(playbookVersions)
        .where(eq(playbookVersions.playbook, plan.playbook));
      const number = (last?.number ?? 0) + 1;
      await inside(tx).insert(playbookVersions).values({
        hash: plan.hash,
        playbook: plan.playbook,
        number,
        plan,
        source,
        isCurrent: true,
        publishedAt: at,
        publishedBy: by,
      });
      return { number, isNew: true, wasCurrent: false };
    },

    async retire(tx, playbook) {
      await inside(tx)
        .update(playbookVersions)
        .set({ isCurrent: false })
        .where(eq(playbookVersions.playbook, playbook));
    },

    async saveConfiguration(tx, kind, content, at) {
      const hash = sha256Hex(canonicalJson(content));
      const [row] = await inside(tx)
        .select({ hash: configurations.hash })
        .from(configurations)
        .where(eq(configurations.kind, kind));
      if (row?.hash === hash) return false;
      await inside(tx)
        .insert(configurations)
        .values({ kind, hash, content, publishedAt: at })
        .onConflictDoUpdate({ target: configurations.kind, set: { hash, content, publishedAt: at } });
      return true;
    },
  };
  return playbooks;
}

const HASH_OF = "select hash from configurations where kind = $1";
const CURRENT = "select hash from playbook_versions where is_current order by playbook";
const HASHES = "select kind, hash from configurations";

const COLUMNS = {
  playbook: playbookVersions.playbook,
  hash: playbookVersions.hash,
  number: playbookVersions.number,
  isCurrent: playbookVersions.isCurrent,
  publishedAt: playbookVersions.publishedAt,
  publishedBy: playbookVersions.publishedBy,
  plan: playbookVersions.plan,
  source: playbookVersions.source,
};

/** JSON with keys in order, so that the same content has the same hash however it was written. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
