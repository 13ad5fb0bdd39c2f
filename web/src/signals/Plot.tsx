import { Center, Group, Skeleton, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { TimeChart, type TimeChartProps } from "../ui/TimeChart";

const HEIGHT = 160;

export interface PlotProps extends TimeChartProps {
  /** Nothing has come from the server yet. */
  pending: boolean;
  /** Names of the lines below them; left out where there is but one, whose name is the title. */
  legend: boolean;
  /** Lines that are not drawn. */
  more?: number;
}

/** A chart of a signal with its legend; a place of the same height while nothing is known, and words where there is nothing. */
export function Plot({ pending, legend, more = 0, ...chart }: PlotProps) {
  const { t } = useTranslation();
  const bands = [...new Set((chart.bands ?? []).map((band) => band.label))];
  if (pending) return <Skeleton height={HEIGHT} animate={false} />;
  const empty = chart.lines.every((line) => line.values.every((value) => value === null));
  if (empty && bands.length === 0) {
    return (
      <Center h={HEIGHT} role="img" aria-label={`${chart.title}. ${t("chart.none")}`}>
        <Text size="sm" c="dimmed">
          {t("chart.none")}
        </Text>
      </Center>
    );
  }
  return (
    <>
      <TimeChart {...chart} height={HEIGHT} />
      {(legend || bands.length > 0) && (
        <Group gap="sm" mt={4}>
          {legend &&
            chart.lines.map((line) => (
              <Text key={line.label} size="xs" c="dimmed">
                <span style={{ color: line.color }} aria-hidden>
                  ●
                </span>{" "}
                {line.label}
              </Text>
            ))}
          {more > 0 && (
            <Text size="xs" c="dimmed">
              {t("chart.more", { count: more })}
            </Text>
          )}
          {bands.map((label) => (
            <Text key={label} size="xs" c="dimmed" data-testid="blind-band">
              <span className="hatched" aria-hidden /> {label}
            </Text>
          ))}
        </Group>
      )}
    </>
  );
}
