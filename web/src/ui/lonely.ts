/** Where the values are that have no known neighbour. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let at = 0; at < values.length; at++) {
    if (typeof values[at] === "number" && typeof values[at - 1] !== "number" && typeof values[at + 1] !== "number") found.push(at);
  }
  return found;
}
