/** The ledger's key of a task's own Slack message; those to later assignees have `@REVISION` behind it, and are about the same. */
export function taskMessageKey(taskId: string): string {
  return `task:${taskId}|slack`;
}

/** Every due item of a task begins so. */
export function alarmPrefix(taskId: string): string {
  return `task:${taskId}|`;
}

/** The task that a message's ledger key belongs to; undefined for another's. */
export function taskOfMessage(ledgerKey: string): string | undefined {
  return /^task:([^|]+)\|slack(@\d+)?$/.exec(ledgerKey)?.[1];
}
