import type { Gap } from "../api/queries";

/** A part of a chart's time in which nothing could be heard. Seconds since 1970. */
export interface Band {
  from: number;
  to: number;
  label: string;
}

/**
 * The gaps as bands of a chart: inside its time, in order, and one band where several sources were cut at once.
 *
 * @param label Says what a band means, given the sources that were cut.
 */
export function bandsOf(gaps: readonly Gap[], from: number, to: number, label: (sources: string[]) => string): Band[] {
  const spans = gaps
    .map((gap) => ({
      from: Math.max(from, Date.parse(gap.started_at) / 1000),
      to: Math.min(to, gap.ended_at === null ? to : Date.parse(gap.ended_at) / 1000),
      sources: [gap.source],
    }))
    .filter((span) => span.to >= span.from)
    .sort((a, b) => a.from - b.from);
  const merged: typeof spans = [];
  for (const span of spans) {
    const last = merged[merged.length - 1];
    if (last && span.from <= last.to) {
      last.to = Math.max(last.to, span.to);
      last.sources = [...new Set([...last.sources, ...span.sources])];
    } else {
      merged.push({ ...span });
    }
  }
  return merged.map((span) => ({ from: span.from, to: span.to, label: label(span.sources) }));
}

/** How long nothing could be heard from one source or another, in seconds; times that overlap count once. */
export function deafSeconds(gaps: readonly Gap[], from: number, to: number): number {
  return bandsOf(gaps, from, to, () => "").reduce((sum, band) => sum + band.to - band.from, 0);
}
