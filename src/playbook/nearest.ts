/** The candidate most like `word`, or undefined if none is near enough to have been meant. Letter case, `-` and `_` don't count. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const wanted = folded(word);
  let best: string | undefined;
  // A third of the letters may be wrong: of a long word more than of a short one.
  let bestDistance = Math.min(Math.max(1, Math.floor(wanted.length / 3)), wanted.length - 1) + 1;
  for (const candidate of candidates) {
    if (candidate === word || candidate.length > LONGEST_WORD) continue;
    const distance = distanceBetween(wanted, folded(candidate), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `Did you mean "…"?`, or what is allowed instead; undefined when there is nothing to say. At most twelve names are listed. */
export function suggestion(word: string, candidates: Iterable<string>): string | undefined {
  const names = [...candidates];
  const match = nearest(word, names);
  if (match !== undefined) return `Did you mean "${match}"?`;
  if (names.length === 0) return undefined;
  const more = names.length > LISTED ? `, … (${names.length} in all)` : "";
  return `Known are: ${names.slice(0, LISTED).join(", ")}${more}.`;
}

const LONGEST_WORD = 100;
const LISTED = 12;

function folded(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/** Letters changed, added, dropped or swapped with their neighbour; gives up at `limit`. */
function distanceBetween(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (isSame ? 0 : 1));
      const isSwapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (isSwapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, right.length);
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] as number;
}
