import { useTranslation } from "react-i18next";
import { EmptyNote } from "../ui/notes";

export function NotFound() {
  const { t } = useTranslation();
  return <EmptyNote>{t("notFound")}</EmptyNote>;
}
