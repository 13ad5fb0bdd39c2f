/** A line of a chart that words belong to, in pixels: where it stands, and how wide they are with the space around them. */
export interface Marked {
  x: number;
  wide: number;
}

/**
 * Where the words of each line begin, in pixels, in the order given; null where there is no room for them. Words stand to
 * the right of their line, else to its left, and never across another line or other words: of lines that stand close
 * together the last keeps its words.
 */
export function labelPlaces(marks: readonly Marked[], left: number, right: number): (number | null)[] {
  const places = new Map<Marked, number | null>();
  const byPlace = [...marks].sort((a, b) => b.x - a.x);
  let free = right;
  byPlace.forEach((mark, index) => {
    const before = byPlace[index + 1]?.x ?? left;
    if (mark.x + mark.wide <= free) {
      places.set(mark, mark.x);
      free = mark.x;
    } else if (mark.x <= free && mark.x - mark.wide >= Math.max(before, left)) {
      places.set(mark, mark.x - mark.wide);
      free = mark.x - mark.wide;
    } else {
      places.set(mark, null);
      free = Math.min(free, mark.x);
    }
  });
  return marks.map((mark) => places.get(mark) ?? null);
}
