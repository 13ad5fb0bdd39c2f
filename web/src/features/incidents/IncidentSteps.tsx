import { Button, Group, TextInput } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useIncidentStep, type Step } from "../../api/queries";
import { Card } from "../../ui/Card";
import { problemText } from "../../ui/problem";

/** What a person does about an incident. Each step is kept with a name and a time. */
export function IncidentSteps({ id, state }: { id: number; state: string }) {
  const { t } = useTranslation();
  const step = useIncidentStep(id);
  const [by, setBy] = useLocalStorage({ key: "huoyan-name", defaultValue: "" });
  const [note, setNote] = useState("");
  const [nameless, setNameless] = useState(false);
  const take = (kind: Step) => {
    if (!by.trim()) {
      setNameless(true);
      return;
    }
    step.mutate(
      { step: kind, by: by.trim(), note },
      {
        onSuccess: () => setNote(""),
        onError: (error) => notifications.show({ color: "red", title: t("error.title"), message: problemText(t, error) }),
      },
    );
  };
  return (
    <Card>
      <Group align="flex-start">
        <TextInput
          aria-label={t("incidents.you")}
          placeholder={t("incidents.you")}
          value={by}
          error={nameless && !by.trim() ? t("incidents.youNeeded") : undefined}
          onChange={(event) => setBy(event.currentTarget.value)}
          w={180}
        />
        <TextInput
          aria-label={t("incidents.note")}
          placeholder={t("incidents.note")}
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
          style={{ flex: 1, minWidth: 180 }}
        />
        {state === "open" && (
          <Button onClick={() => take("acknowledge")} loading={step.isPending}>
            {t("incidents.acknowledge")}
          </Button>
        )}
        <Button variant="default" onClick={() => take("comment")} disabled={!note.trim()} loading={step.isPending}>
          {t("incidents.comment")}
        </Button>
        <Button variant="light" color="teal" onClick={() => take("resolve")} loading={step.isPending}>
          {t("incidents.resolve")}
        </Button>
      </Group>
    </Card>
  );
}
