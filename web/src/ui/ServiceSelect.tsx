import { Select } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** One service or all of them; nothing to choose from where there is only one. */
export function ServiceSelect({ services, value, onChange }: { services: string[]; value: string | undefined; onChange: (service: string | undefined) => void }) {
  const { t } = useTranslation();
  const known = [...new Set([...services, ...(value ? [value] : [])])].sort();
  if (known.length < 2 && !value) return null;
  return (
    <Select
      size="xs"
      w={180}
      aria-label={t("run.service")}
      placeholder={t("service.all")}
      clearable
      data={known}
      value={value ?? null}
      onChange={(chosen) => onChange(chosen ?? undefined)}
    />
  );
}
