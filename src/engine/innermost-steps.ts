/**
 * Where a run really stands, for people: the ids of its active steps in the order in which they were reached. A container (`parallel`, `repeat`, a wait
 * whose `otherwise` is under way) is left out while a step in it is active. `position`: instance keys, as `runs.position` keeps them; empty: none.
 */
export function innermostSteps(position: readonly string[]): string[] {
  const innermost = position.filter(
    (key) => !position.some((other) => other.startsWith(`${key}/`) || other.startsWith(`${key}#`)),
  );
  return innermost.map((key) => key.split("/").at(-1) ?? key);
}
