import { SYSTEM_EVENTS } from "../engine/event.js";
import { nearest } from "../playbook/nearest.js";
import type { Audit } from "../ports/audit.js";
import type { Holds, KillSwitch } from "../ports/holds.js";
import type { Ledger } from "../ports/ledger.js";
import type { Ports } from "../ports/store.js";

export interface SwitchPorts extends Ports {
  readonly holds: Holds;
  readonly ledger: Ledger;
  readonly audit: Audit;
}

/** Stops every mail of every playbook. */
export const ALL_EMAIL = "all_email";

/** Stops everything, by e-mail and Slack; turned on by itself where the database was put back to an older copy. */
export const ALL_SENDS = "all_sends";

/** Why there is no such switch, in a sentence; undefined if there is. `playbook:NAME` needs a playbook that was ever published. */
export async function switchProblem({ store }: Ports, name: string): Promise<string | undefined> {
  if (name === ALL_EMAIL || name === ALL_SENDS) return undefined;
  const playbook = /^playbook:(.+)$/.exec(name)?.[1];
  if (playbook === undefined)
    return `there is no switch "${name}": it is "${ALL_SENDS}", "${ALL_EMAIL}" or "playbook:NAME"`;
  const versions = await store.read((tx) => store.playbooks.versions(tx));
  const names = new Set(versions.map((version) => version.playbook));
  if (names.has(playbook)) return undefined;
  const like = nearest(playbook, names);
  return `no playbook "${playbook}" is published${like === undefined ? "" : `; did you mean "${like}"?`}`;
}

/** Sending stops at once, until somebody turns the switch off; false if it was on already. The name is one that `switchProblem` finds nothing wrong with. */
export async function turnSwitchOn(
  ports: SwitchPorts,
  name: string,
  by: string,
  reason: string | null,
): Promise<boolean> {
  const { store, holds, audit, clock } = ports;
  return store.transaction(async (tx) => {
    if ((await holds.switches(tx)).some((one) => one.name === name)) return false;
    const at = clock.now();
    await holds.turnOn(tx, { name, by, reason, at });
    await audit.record(tx, { at, actor: by, action: "switch.on", subject: name, detail: { reason } });
    return true;
  });
}

/** What waited for it is asked about anew at once, and goes out unless something else keeps it; false if the switch was off. */
export async function turnSwitchOff(ports: SwitchPorts, name: string, by: string): Promise<boolean> {
  const { store, holds, audit, clock } = ports;
  const at = clock.now();
  const wasOn = await store.transaction(async (tx) => {
    if (!(await holds.turnOff(tx, name))) return false;
    await audit.record(tx, { at, actor: by, action: "switch.off", subject: name });
    return true;
  });
  if (wasOn) await tellRuns(ports, name, at);
  return wasOn;
}

/** Runs told in one transaction: each account's lock is held to its end. */
const RUNS_PER_TRANSACTION = 200;

/** Should this break off, the rest look by themselves within the hour (`RECHECK_MS`). */
async function tellRuns({ store, ledger, clock }: SwitchPorts, name: string, at: number): Promise<void> {
  for (let after: string | undefined = ""; after !== undefined; ) {
    const from: string = after;
    after = await store.transaction(async (tx) => {
      const runs = await ledger.deferredRuns(tx, "kill_switch", from, RUNS_PER_TRANSACTION);
      await store.lockAccounts(
        tx,
        runs.map(({ accountId }) => accountId),
      );
      await store.events.append(
        tx,
        runs.map(({ runId, accountId }) => ({
          id: `${SYSTEM_EVENTS.emailReleased}/${name}/${at}/${runId}`,
          name: SYSTEM_EVENTS.emailReleased,
          at,
          accountId,
          runId,
          payload: { switch: name },
          source: "switch",
        })),
        clock.now(),
      );
      return runs.length === RUNS_PER_TRANSACTION ? runs.at(-1)?.runId : undefined;
    });
  }
}

/** The switches that are on. */
export async function listSwitches({ store, holds }: SwitchPorts): Promise<readonly KillSwitch[]> {
  return store.read((tx) => holds.switches(tx));
}
