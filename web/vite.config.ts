import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` talks to a server that is already running (`huoyan serve` or `make demo`).
const server = process.env.HUOYAN_URL ?? "http://127.0.0.1:8650";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/huoyan/server/web/dist",
    emptyOutDir: true,
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: { "/api": { target: server, changeOrigin: false } } },
  test: {
    globals: true,
    // Only what draws (*.test.tsx) needs a document, and what speaks the chosen language, which says so at its top: to make one takes longer than most tests.
    projects: [
      { extends: true, test: { name: "plain", include: ["src/**/*.test.ts"], environment: "node" } },
      {
        extends: true,
        test: { name: "drawn", include: ["src/**/*.test.tsx"], environment: "jsdom", setupFiles: ["src/testing/setup.ts"] },
      },
    ],
  },
});
