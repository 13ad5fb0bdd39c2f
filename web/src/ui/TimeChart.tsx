import { Box, useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { lonely } from "./lonely";
import { labelPlaces } from "./markLabels";
import { DURATION_STEPS } from "./steps";

export interface Line {
  label: string;
  color: string;
  /** Fill under the line. */
  filled?: boolean;
  /** One value per time; null where nothing is known (the line breaks, it never falls to zero). */
  values: (number | null)[];
}

/** A time that is drawn hatched behind the lines, seconds since 1970. */
export interface ChartBand {
  from: number;
  to: number;
  label: string;
}

/** A moment that a line marks, seconds since 1970: a deploy. */
export interface ChartMark {
  at: number;
  label: string;
}

export interface TimeChartProps {
  /** Seconds since 1970, ascending. */
  times: number[];
  lines: Line[];
  /** Times about which the lines can say nothing. */
  bands?: ChartBand[];
  marks?: ChartMark[];
  height?: number;
  format: (value: number | null) => string;
  /** Unit of the values; an axis of seconds is divided as clocks are. */
  unit?: string;
  /** What the chart shows, for readers who cannot see it. */
  title: string;
  /** Times of the left and right edge, seconds; the data's own when absent. */
  from?: number;
  to?: number;
}

const NO_BANDS: ChartBand[] = [];
const NO_MARKS: ChartMark[] = [];

/** Lines over time. Redraws in place, so a chart that updates every second does not flicker. */
export function TimeChart({ times, lines, bands = NO_BANDS, marks = NO_MARKS, height = 160, format, unit, title, from, to }: TimeChartProps) {
  const { ref: sizer, width } = useElementSize();
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useComputedColorScheme("light") === "dark";
  const duration = unit === "s" || unit === "seconds";
  const shape = lines.map((line) => `${line.label}|${line.color}|${line.filled ?? ""}`).join(";");
  const data = useMemo(() => [times, ...lines.map((line) => line.values)] as uPlot.AlignedData, [times, lines]);
  const latest = useRef({ format, from, to, data, bands, marks });
  useEffect(() => {
    latest.current = { format, from, to, data, bands, marks };
  });

  useEffect(() => {
    if (!host.current || width === 0) return;
    const axis = {
      stroke: dark ? "#a6a7ab" : "#646c74",
      grid: { stroke: dark ? "rgba(255,255,255,.07)" : "rgba(0,0,0,.06)", width: 1 },
      ticks: { show: false },
      font: "11px system-ui",
    };
    const drawn = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        padding: [8, 18, 0, 0],
        scales: {
          x: { range: (_u, min, max) => [latest.current.from ?? min, latest.current.to ?? max] },
          y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.15 : 1] },
        },
        axes: [
          { ...axis, space: 70, size: 28, values: (_u, splits) => splits.map((at) => hourMinute(at)) },
          { ...axis, size: 62, ...(duration ? { incrs: DURATION_STEPS } : {}), values: (_u, splits) => splits.map((value) => latest.current.format(value)) },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: line.color,
            width: 2,
            fill: line.filled ? `${line.color}22` : undefined,
            // A value with nothing known on either side is no part of a line; it is drawn as a dot.
            points: { show: true, size: 5, fill: line.color, filter: (u: uPlot, index: number) => lonely(u.data[index] ?? []) },
            spanGaps: false,
          })),
        ],
        plugins: [hatching(() => latest.current.bands, dark), marking(() => latest.current.marks, dark), tooltip(() => latest.current)],
      },
      latest.current.data,
      host.current,
    );
    plot.current = drawn;
    return () => {
      drawn.destroy();
      plot.current = null;
    };
    // `shape` stands for the lines' looks; their values arrive through setData below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, dark, duration, height, width]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data, from, to, bands, marks]);

  return (
    <Box
      ref={sizer}
      role="img"
      aria-label={[title, ...new Set([...bands, ...marks].map((each) => each.label))].join(". ")}
      data-bands={bands.length}
      data-marks={marks.length}
      style={{ minHeight: height, position: "relative" }}
    >
      <div ref={host} />
    </Box>
  );
}

function hourMinute(at: number): string {
  const date = new Date(at * 1000);
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}

/** The narrowest a band is drawn, in CSS pixels: a short gap is still a gap. */
const NARROWEST_PX = 3;

function hatching(bands: () => ChartBand[], dark: boolean): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (u) => {
        const { ctx, bbox } = u;
        const scale = window.devicePixelRatio || 1;
        for (const band of bands()) {
          const left = Math.max(bbox.left, u.valToPos(band.from, "x", true));
          const right = Math.min(bbox.left + bbox.width, Math.max(u.valToPos(band.to, "x", true), left + NARROWEST_PX * scale));
          if (!(right > left)) continue;
          ctx.save();
          ctx.beginPath();
          ctx.rect(left, bbox.top, right - left, bbox.height);
          ctx.clip();
          ctx.fillStyle = dark ? "rgba(255,255,255,.09)" : "rgba(0,0,0,.08)";
          ctx.fillRect(left, bbox.top, right - left, bbox.height);
          ctx.strokeStyle = dark ? "rgba(255,255,255,.22)" : "rgba(0,0,0,.18)";
          ctx.lineWidth = scale;
          ctx.beginPath();
          for (let x = left - bbox.height; x < right; x += 7 * scale) {
            ctx.moveTo(x, bbox.top + bbox.height);
            ctx.lineTo(x + bbox.height, bbox.top);
          }
          ctx.stroke();
          ctx.restore();
        }
      },
    },
  };
}

/** Dashed lines at moments, each with its words beside it where there is room. */
function marking(marks: () => ChartMark[], dark: boolean): uPlot.Plugin {
  return {
    hooks: {
      draw: (u) => {
        const { ctx, bbox } = u;
        const scale = window.devicePixelRatio || 1;
        const right = bbox.left + bbox.width;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = dark ? "#b197fc" : "#7048e8";
        ctx.font = `${11 * scale}px system-ui`;
        ctx.textAlign = "left";
        ctx.textBaseline = "top";
        ctx.lineWidth = scale;
        ctx.setLineDash([4 * scale, 3 * scale]);
        const shown = marks()
          .map((mark) => ({ label: mark.label, x: u.valToPos(mark.at, "x", true), wide: ctx.measureText(mark.label).width + 8 * scale }))
          .filter(({ x }) => x >= bbox.left && x <= right);
        const places = labelPlaces(shown, bbox.left, right);
        shown.forEach(({ label, x }, index) => {
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          const place = places[index] ?? null;
          if (place !== null) ctx.fillText(label, place + 4 * scale, bbox.top);
        });
        ctx.restore();
      },
    },
  };
}

/** How near to a mark one has to point to be told of it, in CSS pixels. */
const NEAR_PX = 8;

function tooltip(shown: () => { format: TimeChartProps["format"]; bands: ChartBand[]; marks: ChartMark[] }): uPlot.Plugin {
  const box = document.createElement("div");
  box.className = "chart-tooltip";
  return {
    hooks: {
      init: (u) => {
        box.style.display = "none";
        u.over.appendChild(box);
        u.over.addEventListener("mouseleave", () => (box.style.display = "none"));
      },
      setCursor: (u) => {
        const index = u.cursor.idx;
        const time = index === null || index === undefined ? undefined : u.data[0][index];
        if (index === null || index === undefined || time === undefined) {
          box.style.display = "none";
          return;
        }
        const { format, bands, marks } = shown();
        box.replaceChildren(row(new Date(time * 1000).toLocaleTimeString()));
        u.series.slice(1).forEach((series, position) => {
          const value = u.data[position + 1]?.[index] ?? null;
          const line = row(`${String(series.label)}: ${format(value)}`);
          line.style.color = typeof series.stroke === "function" ? String(series.stroke(u, position + 1)) : "";
          box.appendChild(line);
        });
        const pointed = u.posToVal(u.cursor.left ?? 0, "x");
        for (const band of bands) {
          if ((time >= band.from && time <= band.to) || (pointed >= band.from && pointed <= band.to)) box.appendChild(row(band.label));
        }
        for (const mark of marks) {
          if (Math.abs(u.valToPos(mark.at, "x") - (u.cursor.left ?? 0)) <= NEAR_PX) box.appendChild(row(mark.label));
        }
        box.style.display = "block";
        const left = u.cursor.left ?? 0;
        box.style.transform = `translate(${left > u.over.clientWidth / 2 ? left - box.offsetWidth - 12 : left + 12}px, 4px)`;
      },
    },
  };
}

function row(text: string): HTMLDivElement {
  const line = document.createElement("div");
  line.textContent = text;
  return line;
}
