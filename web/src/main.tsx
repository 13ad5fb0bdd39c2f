import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./app/page.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { answers } from "./api/cache";
import { Gate } from "./app/Gate";
import { router } from "./app/router";
import { theme } from "./app/theme";
import "./i18n";
import { LiveProvider } from "./live/LiveProvider";

const client = answers();

const root = document.getElementById("root");
if (!root) throw new Error("expected an element #root in index.html, got none");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <QueryClientProvider client={client}>
        <Gate>
          <LiveProvider>
            <RouterProvider router={router} />
          </LiveProvider>
        </Gate>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
