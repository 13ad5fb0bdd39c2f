import { Stack, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { BlindBanner } from "../gaps/BlindBanner";
import { BucketsCard } from "./BucketsCard";
import { CardinalityCard } from "./CardinalityCard";

/** How good the measurements themselves are: what buckets get wrong, and which labels grow without end. */
export function MeasurementsPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/measurements" });
  const navigate = useNavigate({ from: "/measurements" });
  return (
    <Stack>
      <Title order={1} fz="xl">
        {t("measurement.title")}
      </Title>
      <BlindBanner />
      <CardinalityCard />
      <BucketsCard search={search} onChange={(next) => void navigate({ search: next, replace: true })} />
    </Stack>
  );
}
