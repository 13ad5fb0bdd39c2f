import { Box, Group, Text, UnstyledButton } from "@mantine/core";
import { memo, useId, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { clock } from "../../ui/format";
import { Name } from "../../ui/Name";
import { fullOf, moved, strength, type HostMeasure, type Place, type ProcessMeasure, type Row } from "./scale";

export interface HeatMapProps {
  /** What the map shows, for readers who cannot see it. */
  title: string;
  /** Ends of the steps, seconds since 1970. */
  times: number[];
  rows: Row[];
  measure: ProcessMeasure | HostMeasure;
  format: (value: number | null) => string;
  chosen: string | undefined;
  onChoose: (name: string | undefined) => void;
}

/**
 * Rows over time, each cell as strong as its value. The cell under the pointer or the one reached by the arrow keys is
 * read out below; the name of a row opens its charts. What is not known is hatched, never drawn as zero.
 */
export function HeatMap({ title, times, rows, measure, format, chosen, onChoose }: HeatMapProps) {
  const { t, i18n } = useTranslation();
  const id = useId();
  const [at, setAt] = useState<Place | null>(null);
  const full = fullOf(rows, measure);
  const place = at && at.row < rows.length && at.column < times.length ? at : null;
  const row = place ? rows[place.row] : undefined;
  const time = place ? times[place.column] : undefined;
  const value = place ? (row?.values[place.column] ?? null) : null;
  const press = (event: KeyboardEvent) => {
    const next = place ? moved(place, event.key, rows.length, times.length) : moved({ row: 0, column: times.length - 1 }, event.key, rows.length, times.length);
    if (event.key === "Enter" && row) onChoose(row.name === chosen ? undefined : row.name);
    if (next === null) return;
    event.preventDefault();
    setAt(place ? next : { row: 0, column: times.length - 1 });
  };
  return (
    <div>
      <Box
        role="grid"
        tabIndex={0}
        className="heat"
        aria-label={title}
        aria-activedescendant={place ? `${id}-${place.row}-${place.column}` : undefined}
        onKeyDown={press}
        onMouseLeave={() => setAt(null)}
      >
        {rows.map((each, index) => (
          <Line
            key={each.name}
            id={`${id}-${index}`}
            index={index}
            row={each}
            full={full}
            chosen={each.name === chosen}
            column={place?.row === index ? place.column : null}
            onPoint={setAt}
            onChoose={onChoose}
          />
        ))}
      </Box>
      <div className="heat-row" aria-hidden>
        <span />
        <Group justify="space-between" wrap="nowrap">
          {[times[0], times[Math.floor((times.length - 1) / 2)], times[times.length - 1]].map((each, position) => (
            <Text key={position} size="xs" c="dimmed" className="num">
              {each === undefined ? "" : hourMinute(each)}
            </Text>
          ))}
        </Group>
      </div>
      <Group justify="space-between" mt="xs" gap="xs">
        <Text size="sm" aria-live="polite" data-testid="heat-value" className="num" mih={22}>
          {row && time !== undefined ? (
            <>
              <b>{value === null ? t("resource.unknown") : format(value)}</b> · {row.name} · {clock(new Date(time * 1000).toISOString(), i18n.language)}
            </>
          ) : (
            <Text component="span" size="sm" c="dimmed">
              {t("resource.hint")}
            </Text>
          )}
        </Text>
        <Group gap={6} wrap="nowrap" aria-hidden>
          <Text size="xs" c="dimmed">
            {format(0)}
          </Text>
          <span className="heat-legend" />
          <Text size="xs" c="dimmed">
            {format(full)}
          </Text>
          <span className="heat-cell unknown" style={{ width: 14, marginLeft: 8 }} />
          <Text size="xs" c="dimmed">
            {t("resource.unknown")}
          </Text>
        </Group>
      </Group>
    </div>
  );
}

interface LineProps {
  id: string;
  index: number;
  row: Row;
  full: number;
  chosen: boolean;
  /** Column of the cell that is read out, if it is in this row. */
  column: number | null;
  onPoint: (place: Place) => void;
  onChoose: (name: string | undefined) => void;
}

/** One row. It is drawn anew only when something of its own changed, so that pointing stays quick with many rows. */
const Line = memo(function Line({ id, index, row, full, chosen, column, onPoint, onChoose }: LineProps) {
  return (
    <div role="row" className="heat-row" data-row={row.name} data-chosen={chosen}>
      <div role="rowheader" style={{ minWidth: 0 }}>
        <UnstyledButton onClick={() => onChoose(chosen ? undefined : row.name)} aria-expanded={chosen} style={{ maxWidth: "100%", display: "block" }}>
          <Text size="xs" fw={chosen ? 700 : 500} lh={1.15} lineClamp={2} style={{ overflowWrap: "anywhere" }} title={row.note ? `${row.name} · ${row.note}` : row.name}>
            <Name of={row.name} />
          </Text>
        </UnstyledButton>
      </div>
      <div className="heat-cells" style={{ gridTemplateColumns: `repeat(${row.values.length}, minmax(0, 1fr))` }}>
        {row.values.map((value, position) => (
          <span
            key={position}
            id={`${id}-${position}`}
            role="gridcell"
            aria-selected={position === column}
            className={`heat-cell${value === null ? " unknown" : ""}${position === column ? " pointed" : ""}`}
            style={value === null ? undefined : { ["--heat" as string]: `${strength(value, full)}%` }}
            onMouseEnter={() => onPoint({ row: index, column: position })}
            onClick={() => onChoose(chosen ? undefined : row.name)}
          />
        ))}
      </div>
    </div>
  );
});

function hourMinute(at: number): string {
  const date = new Date(at * 1000);
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}
