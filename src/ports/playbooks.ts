import type { Plan } from "../engine/plan.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

export type ConfigurationKind = "model" | "segments" | "health" | "calendars" | "policy";

/** All that one publication consists of, compiled and checked. */
export interface Workspace {
  /** `source`: the playbook's YAML, for people. */
  readonly playbooks: readonly { readonly plan: Plan; readonly source: string }[];
  readonly templates: readonly TemplateSource[];
  readonly configurations: Readonly<Record<ConfigurationKind, unknown>>;
}

export interface TemplateSource {
  /** SHA-256 (hex) of the source. */
  readonly hash: string;
  readonly name: string;
  readonly locale: string;
  readonly source: string;
}

export interface PublishedVersion {
  readonly playbook: string;
  readonly hash: string;
  /** 1, 2, 3 … per playbook. */
  readonly number: number;
  readonly isCurrent: boolean;
  readonly publishedAt: Instant;
  readonly publishedBy: string;
}

export interface Playbooks {
  /** The plan with this hash; never changes, so it is remembered. */
  plan(tx: Tx, hash: string): Promise<Plan | undefined>;
  /** The plans new runs are made of, by playbook name. */
  current(tx: Tx): Promise<readonly Plan[]>;
  versions(tx: Tx, playbook?: string): Promise<readonly PublishedVersion[]>;
  template(tx: Tx, hash: string): Promise<TemplateSource | undefined>;
  /** As last published; undefined before the first publication. The caller names the type that the compiler writes. */
  configuration<T>(tx: Tx, kind: ConfigurationKind): Promise<T | undefined>;
  /** All that is published, by kind: one look where several are needed. */
  configurations(tx: Tx): Promise<Readonly<Partial<Record<ConfigurationKind, unknown>>>>;
  /** Stores templates; known hashes are left as they are. */
  saveTemplates(tx: Tx, templates: readonly TemplateSource[]): Promise<void>;
  /** Makes this the current version; a hash that was there before keeps its number. */
  saveVersion(
    tx: Tx,
    version: { plan: Plan; source: string; at: Instant; by: string },
  ): Promise<{ number: number; isNew: boolean; wasCurrent: boolean }>;
  /** New runs are no longer made of the playbook. */
  retire(tx: Tx, playbook: string): Promise<void>;
  /** True if it is different from what was there. */
  saveConfiguration(tx: Tx, kind: ConfigurationKind, content: unknown, at: Instant): Promise<boolean>;
}
