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
    environment: "jsdom",
    globals: true,
    setupFiles: ["src/testing/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
  },
});
